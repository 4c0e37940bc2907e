// curl takes compressed answers of nginx's files through the proxy.

import { describe, expect } from "bun:test";

import { curl, type Way, WAYS } from "../../support/curl.ts";
import { Gateway } from "../../support/gateway.ts";
import { startNginx } from "../../support/nginx.ts";
import { testWith } from "../../support/programs.ts";

const PAGE = Array.from({ length: 20_000 }, (_, i) => `line ${i} of a page\n`).join("");

interface Got {
  head: string;
  body: string;
  /** Bytes of the body as it came. */
  bytes: number;
}

async function get(gateway: Gateway, way: Way, path: string, ...flags: string[]): Promise<Got> {
  const form = ["--compressed", "-D", "-", "-w", "\n%{size_download}"];
  const { stdout } = await curl(way, gateway, path, ...form, ...flags);
  const body = stdout.indexOf("\r\n\r\n") + 4;
  const end = stdout.lastIndexOf("\n");
  return {
    head: stdout.slice(0, body).toLowerCase(),
    body: stdout.slice(body, end),
    bytes: Number(stdout.slice(end + 1)),
  };
}

async function withFiles(use: (gateway: Gateway) => Promise<void>): Promise<void> {
  await using nginx = await startNginx({ "page.txt": PAGE, "small.txt": "small" });
  const target = `127.0.0.1:${nginx.port}`;
  await using gateway = await Gateway.start({ target, compress: true });
  await use(gateway);
}

describe("nginx behind a proxy that does not", () => {
  // Its gzip_proxied is off unless it is told otherwise, and a request with Via is one of a proxy.
  for (const via of [undefined, true]) {
    const does = via === true ? "sends no gzip to a proxy that names itself" : "sends gzip";
    testWith(["nginx", "curl", "openssl"], does, async () => {
      await using nginx = await startNginx({ "page.html": PAGE }, "gzip on;");
      const keys = via === undefined ? {} : { forwarded: { via } };
      await using gateway = await Gateway.start({ target: nginx.address, ...keys });
      for (const way of WAYS) {
        const { body, head } = await get(gateway, way, "/page.html");
        expect(body === PAGE).toBe(true);
        expect(head.includes("content-encoding: gzip\r\n")).toBe(via !== true);
        expect(head.includes("\r\nvia: ")).toBe(via === true);
      }
    });
  }
});

describe("curl through a proxy that compresses", () => {
  for (const coding of ["gzip", "br", "zstd"]) {
    for (const way of WAYS) {
      testWith(["nginx", "curl", "openssl"], `unpacks ${coding}, by ${way.name}`, () =>
        withFiles(async (gateway) => {
          const accept = ["-H", `accept-encoding: ${coding}`];
          const { body, head, bytes } = await get(gateway, way, "/page.txt", ...accept);
          expect(body === PAGE).toBe(true);
          expect(head).toContain(`content-encoding: ${coding}\r\n`);
          expect(head).toContain("vary: accept-encoding\r\n");
          expect(head).toContain('etag: w/"');
          expect(bytes).toBeLessThan(PAGE.length / 4);
        }),
      );
    }
  }

  testWith(["nginx", "curl", "openssl"], "gets small files and ranges as they are", () =>
    withFiles(async (gateway) => {
      const small = await get(gateway, WAYS[0]!, "/small.txt");
      expect([small.body, small.bytes]).toEqual(["small", 5]);
      expect(small.head).not.toContain("content-encoding");
      const range = await get(gateway, WAYS[0]!, "/page.txt", "-r", "0-1999");
      expect(range.body).toBe(PAGE.slice(0, 2_000));
      expect(range.head).not.toContain("content-encoding");
    }),
  );

  testWith(["nginx", "curl", "openssl"], "asks again with the ETag it got, and gets 304", () =>
    withFiles(async (gateway) => {
      const { head } = await get(gateway, WAYS[0]!, "/page.txt");
      const [, etag] = /etag: w\/(.*)\r/.exec(head)!;
      const asked = ["-H", `if-none-match: W/${etag!}`];
      const again = await get(gateway, WAYS[0]!, "/page.txt", ...asked);
      expect(again.head).toContain(" 304 ");
      expect(again.head).toContain(`etag: w/${etag!}`);
      expect(again.bytes).toBe(0);
    }),
  );
});
