// curl takes compressed answers of nginx's files through the proxy.

import { describe, expect } from "bun:test";

import { run } from "../../support/daemon.ts";
import { Gateway } from "../../support/gateway.ts";
import { startNginx } from "../../support/nginx.ts";
import { program, testWith } from "../../support/programs.ts";

const PAGE = Array.from({ length: 20_000 }, (_, i) => `line ${i} of a page\n`).join("");

interface Got {
  body: string;
  head: string;
  /** Bytes of the body as it came. */
  bytes: number;
}

async function get(url: string, ...flags: string[]): Promise<Got> {
  const form = ["-w", "\n%{size_download}", "-D", "/dev/stderr"];
  const curl = [program("curl"), "-sS", "--fail", "--compressed", ...form, ...flags, url];
  const { stdout, stderr } = await run(curl);
  const end = stdout.lastIndexOf("\n");
  return { body: stdout.slice(0, end), head: stderr, bytes: Number(stdout.slice(end + 1)) };
}

async function withGateway(use: (clear: string, tls: string) => Promise<void>): Promise<void> {
  await using nginx = await startNginx({ "page.txt": PAGE, "small.txt": "small" });
  const target = `127.0.0.1:${nginx.port}`;
  await using gateway = await Gateway.start({ target, compress: true });
  await use(`http://127.0.0.1:${gateway.port}`, `https://localhost:${gateway.tlsPort}`);
}

describe("curl through a proxy that compresses", () => {
  for (const coding of ["gzip", "br", "zstd"]) {
    testWith(["nginx", "curl", "openssl"], `unpacks ${coding}, over every version`, () =>
      withGateway(async (clear, tls) => {
        const accept = ["-H", `accept-encoding: ${coding}`];
        for (const flags of [
          [clear, "--http1.1"],
          [clear, "--http2-prior-knowledge"],
          [tls, "--http2", "-k"],
        ] as const) {
          const [base, ...options] = flags;
          const { body, head, bytes } = await get(`${base}/page.txt`, ...accept, ...options);
          expect(body === PAGE).toBe(true);
          expect(head.toLowerCase()).toContain(`content-encoding: ${coding}\r\n`);
          expect(head.toLowerCase()).toContain("vary: accept-encoding\r\n");
          expect(head).toMatch(/etag: W\/"/i);
          expect(bytes).toBeLessThan(PAGE.length / 4);
        }
      }),
    );
  }

  testWith(["nginx", "curl", "openssl"], "gets small files and ranges as they are", () =>
    withGateway(async (clear) => {
      const small = await get(`${clear}/small.txt`);
      expect([small.body, small.bytes]).toEqual(["small", 5]);
      expect(small.head.toLowerCase()).not.toContain("content-encoding");
      const range = await get(`${clear}/page.txt`, "-r", "0-1999");
      expect(range.body).toBe(PAGE.slice(0, 2_000));
      expect(range.head.toLowerCase()).not.toContain("content-encoding");
    }),
  );

  testWith(["nginx", "curl", "openssl"], "asks again with the ETag it got, and gets 304", () =>
    withGateway(async (clear) => {
      const { head } = await get(`${clear}/page.txt`);
      const [, etag] = /etag: (.*)\r/i.exec(head)!;
      const again = await get(`${clear}/page.txt`, "-H", `if-none-match: ${etag!}`);
      expect(again.head).toContain(" 304 ");
      expect(again.bytes).toBe(0);
    }),
  );
});
