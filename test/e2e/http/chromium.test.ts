// Chromium through the proxy: a page over HTTP/2 or HTTP/3 with a WebSocket, server-sent events, uploads, and gRPC-Web in both
// forms, also from pages of other origins.

import { expect } from "bun:test";
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import type { Page } from "playwright-core";

import { BROWSER_PROGRAMS, startBrowser } from "../../support/browser.ts";
import { inFolder } from "../../support/daemon.ts";
import { Gateway } from "../../support/gateway.ts";
import { type GrpcServer, startGrpcServer } from "../../support/grpc.ts";
import { NodePeer } from "../../support/node-peer.ts";
import { PageServer } from "../../support/page-server.ts";
import { testWith } from "../../support/programs.ts";
import { until } from "../../support/until.ts";
import type { page } from "./peers/page.ts";

const APP = "https://app.example.com";
const API = "https://api.example.com";
const OTHER = "https://other.example.com";
const NEEDED = ["node", "openssl", ...BROWSER_PROGRAMS] as const;

async function bundledPage(): Promise<string> {
  const { outputs } = await Bun.build({
    entrypoints: [Bun.fileURLToPath(new URL("./peers/page.ts", import.meta.url))],
    target: "browser",
    format: "iife",
  });
  return outputs[0]!.text();
}

interface Stage {
  /** A page of this origin, loaded. */
  open(origin: string): Promise<Page>;
  readonly grpc: GrpcServer;
  /** What was logged of requests so far. */
  log(): string;
}

/** The three names are one proxy. */
async function withBrowser(
  use: (stage: Stage) => Promise<void>,
  { http3 = false }: { http3?: boolean } = {},
): Promise<void> {
  await inFolder(async (folder) => {
    await using pages = await PageServer.start(await bundledPage());
    await using grpc = await startGrpcServer();
    const source = new URL("./peers/ws-server.ts", import.meta.url);
    await using sockets = await NodePeer.start<{ http1: number }>(source);
    const { http1 } = await sockets.says();
    const routes = [
      {
        match: { path: "/test.Echo/*" },
        target: `h2c://127.0.0.1:${grpc.port}`,
        grpc_web_origins: [APP],
      },
      { match: { path: "/socket" }, target: `http://127.0.0.1:${http1}` },
    ];
    const file = { access_log: join(folder, "access.log") };
    const keys = { routes, target: `127.0.0.1:${pages.port}`, compress: true };
    const options = { file, complains: true, ...(http3 && { http3: {} }) };
    await using gateway = await Gateway.start(keys, options);
    const to = `127.0.0.1:${gateway.tlsPort}`;
    const names = [APP, API, OTHER].map((origin) => new URL(origin).host);
    const rules = names.map((name) => `MAP ${name}:443 ${to}`).join(",");
    const browser = await startBrowser(
      `--host-resolver-rules=${rules}`,
      ...(http3 ? await overQuic(gateway, names) : []),
    );
    try {
      await use({
        grpc,
        log: () => readFileSync(file.access_log, "utf8"),
        async open(origin) {
          const opened = await browser.newPage();
          await opened.goto(`${origin}/`);
          return opened;
        },
      });
    } finally {
      await browser.close();
    }
  });
}

/** For QUIC Chromium believes no certificate but those whose keys are named. */
async function overQuic({ certFile }: Gateway, names: readonly string[]): Promise<string[]> {
  const { publicKey } = new X509Certificate(readFileSync(certFile));
  const spki = publicKey.export({ type: "spki", format: "der" });
  const hash = createHash("sha256").update(spki).digest("base64");
  const origins = names.map((name) => `${name}:443`).join(",");
  return [
    `--ignore-certificate-errors-spki-list=${hash}`,
    "--enable-quic",
    `--origin-to-force-quic-on=${origins}`,
  ];
}

/** Calls a function of peers/page.ts in the browser. */
function call<Name extends keyof typeof page>(
  at: Page,
  name: Name,
  ...args: Parameters<(typeof page)[Name]>
): Promise<Awaited<ReturnType<(typeof page)[Name]>>> {
  const script = `page.${name}(...${JSON.stringify(args)})`;
  return at.evaluate(script) as Promise<Awaited<ReturnType<(typeof page)[Name]>>>;
}

testWith(NEEDED, "a page over HTTP/2 with all that pages do", () =>
  withBrowser(async ({ open, log }) => {
    const at = await open(APP);
    expect(await call(at, "protocol")).toBe("h2");
    expect(await call(at, "upload", `${APP}/echo`, 3_000_000)).toBe(true);
    const lengths = [0, 1, 200, 70_000, 3_000_000];
    expect(await call(at, "webSocket", `wss://app.example.com/socket`, lengths)).toEqual({
      echoed: lengths,
      code: 4_002,
    });
    expect(await call(at, "events", `${APP}/events`, `${APP}/next`, 10)).toEqual(
      Array.from({ length: 10 }, (_, i) => String(i + 1)),
    );
    await until("the WebSocket is logged", () => log().includes("/socket"));
    const [socket] = log()
      .split("\n")
      .filter((line) => line.includes("/socket"));
    expect(socket).toMatch(/HTTP\/2/);
  }),
);

testWith(NEEDED, "gRPC-Web from the page's own origin and another", () =>
  withBrowser(async ({ open }) => {
    const at = await open(APP);
    const headers = { "x-say": "hello" };
    for (const base of [APP, API]) {
      const binary = await call(at, "binary", base, "héllo ☃", headers);
      expect([binary.code, binary.texts]).toEqual([0, ["héllo ☃"]]);
      expect(binary.headers).toMatchObject({ "x-said": "hello" });
      const text = await call(at, "text", base, "wörds", { ...headers, "x-count": "50" });
      expect(text).toEqual({ code: 0, message: "", texts: Array(50).fill("wörds") });
      const status = { "x-status": "5", "x-details": encodeURIComponent("nö") };
      expect(await call(at, "binary", base, "x", status)).toMatchObject({ code: 5, message: "nö" });
      expect(await call(at, "text", base, "x", status)).toMatchObject({ code: 5, message: "nö" });
    }
  }),
);

testWith(NEEDED, "gRPC-Web from an origin that is not allowed fails", () =>
  withBrowser(async ({ open }) => {
    const at = await open(OTHER);
    expect((await call(at, "binary", API, "x", {})).code).not.toBe(0);
    expect((await call(at, "binary", OTHER, "x", {})).code).toBe(0);
  }),
);

testWith(NEEDED, "a page over HTTP/3 with all that pages do", () =>
  withBrowser(
    async ({ open, log }) => {
      const at = await open(APP);
      expect(await call(at, "protocol")).toBe("h3");
      expect(await call(at, "upload", `${APP}/echo`, 3_000_000)).toBe(true);
      expect(await call(at, "events", `${APP}/events`, `${APP}/next`, 10)).toEqual(
        Array.from({ length: 10 }, (_, i) => String(i + 1)),
      );
      const headers = { "x-say": "hello" };
      const binary = await call(at, "binary", APP, "héllo ☃", headers);
      expect([binary.code, binary.texts]).toEqual([0, ["héllo ☃"]]);
      const text = await call(at, "text", API, "wörds", { ...headers, "x-count": "50" });
      expect(text).toEqual({ code: 0, message: "", texts: Array(50).fill("wörds") });
      await until("the upload is logged", () => log().includes("/echo"));
      expect(log()).toMatch(/"path":"\/echo","protocol":"HTTP\/3.0"/);
    },
    { http3: true },
  ),
);
