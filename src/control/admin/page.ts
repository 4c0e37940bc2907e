// The dashboard as the admin listener serves it: one document with everything in it, which asks this listener alone, and
// says so to the browser (Content-Security-Policy): nothing is loaded from elsewhere, no script but its own runs, no page
// frames it. It holds no data, so that who has no token yet can be asked for it. Called by admin.ts.

import { createHash } from "node:crypto";

import type { Answer, Question } from "./answer.ts";
import { bundlePage, type PageBundle } from "./page-bundle.ts";

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">
<path d="M1 5h10M8 1.5 11.5 5 8 8.5M15 11H5m3-3.5L4.5 11 8 14.5" fill="none" stroke="#12909c" stroke-width="2"/>
</svg>`;

interface Document {
  readonly text: string;
  readonly compressed: Uint8Array;
  readonly fields: Readonly<Record<string, string>>;
}

export class DashboardPage {
  #document: Promise<Document> | null = null;

  /** Made when it is first asked for. */
  async answer({ acceptEncoding = "", ifNoneMatch = "" }: Question): Promise<Answer> {
    this.#document ??= bundlePage().then(documentOf);
    let document: Document;
    try {
      document = await this.#document;
    } catch (error) {
      this.#document = null; // what was missing may be there next time
      throw error;
    }
    const { text, compressed, fields } = document;
    const type = "text/html; charset=utf-8";
    if (ifNoneMatch.includes(fields.etag!)) return { status: 304, type, text: "", fields };
    if (!/\bgzip\b/.test(acceptEncoding)) return { status: 200, type, text, fields };
    return {
      status: 200,
      type,
      text: "",
      bytes: compressed,
      fields: { ...fields, "content-encoding": "gzip" },
    };
  }
}

function documentOf({ script, style }: PageBundle): Document {
  const text = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>proxy</title>
<link rel="icon" href="data:image/svg+xml;base64,${Buffer.from(ICON).toString("base64")}">
<style>${style}</style>
</head>
<body>
<noscript>This page needs JavaScript. Without it: proxy status, or /api/status.</noscript>
<script type="module">${script}</script>
</body>
</html>
`;
  const bytes = Buffer.from(text);
  return {
    text,
    compressed: Bun.gzipSync(bytes, { level: 9 }),
    fields: {
      "content-security-policy": policyOf(script, style),
      "cache-control": "no-cache", // asked about each time, and sent again only if it is another
      etag: `"${hash(text)}"`,
      vary: "accept-encoding",
      "cross-origin-opener-policy": "same-origin",
    },
  };
}

function policyOf(script: string, style: string): string {
  return [
    "default-src 'none'",
    `script-src 'sha256-${hash(script)}'`,
    `style-src 'sha256-${hash(style)}'`,
    "connect-src 'self'",
    "img-src data:", // the icon
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join("; ");
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}
