// Streams that somebody reads while they come: each item must arrive before the next one is sent, compressed or not.

import { describe, expect } from "bun:test";
import { brotliDecompressSync, constants, gunzipSync, zstdDecompressSync } from "node:zlib";

import { Gateway } from "../../support/gateway.ts";
import { PageServer } from "../../support/page-server.ts";
import { testWith } from "../../support/programs.ts";
import { within } from "../../support/until.ts";

const ITEMS = 20;

/** Decodes what there is, also if it is not all. */
const DECODE = {
  identity: (bytes: Buffer) => bytes,
  gzip: (bytes: Buffer) => gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }),
  br: (bytes: Buffer) =>
    brotliDecompressSync(bytes, { finishFlush: constants.BROTLI_OPERATION_FLUSH }),
  zstd: (bytes: Buffer) => zstdDecompressSync(bytes, { finishFlush: constants.ZSTD_e_flush }),
} as const;
type Coding = keyof typeof DECODE;

/** Reads items, and asks for each once the one before is there. @returns all that was sent. */
async function read(url: string, path: string, coding: Coding, until: string): Promise<string> {
  const headers = { "accept-encoding": coding };
  const answer = await fetch(url + path, { headers, decompress: false });
  expect(answer.headers.get("content-encoding") ?? "identity").toBe(coding);
  const received: Uint8Array[] = [];
  const reader = answer.body!.getReader();
  for (let items = 0, text = ""; ;) {
    const { done, value } = await within(`item ${items + 1}`, reader.read());
    if (done) return text;
    received.push(value);
    text = DECODE[coding](Buffer.concat(received)).toString();
    if (text.split("\n").filter((line) => line !== "").length === items) continue;
    items++;
    if (text.includes(until)) {
      await reader.cancel();
      return text;
    }
    await fetch(`${url}/next`, { method: "POST" });
  }
}

describe("each item arrives before the next is sent", () => {
  testWith(["openssl"], "of server-sent events, which are not compressed", async () => {
    await using server = await PageServer.start();
    const target = `127.0.0.1:${server.port}`;
    await using gateway = await Gateway.start({ target, compress: true }, { complains: true });
    const url = `http://127.0.0.1:${gateway.port}`;
    const text = await read(url, "/events", "identity", `data: ${ITEMS}\n`);
    const items = Array.from({ length: ITEMS }, (_, i) => `data: ${i + 1}\n\n`);
    expect(text).toBe(items.join(""));
  });

  for (const coding of ["identity", "gzip", "br", "zstd"] as const) {
    testWith(["openssl"], `of lines of JSON in ${coding}`, async () => {
      await using server = await PageServer.start();
      const target = `127.0.0.1:${server.port}`;
      await using gateway = await Gateway.start({ target, compress: true }, { complains: true });
      const url = `http://127.0.0.1:${gateway.port}`;
      const text = await read(url, "/lines", coding, `{"line":${ITEMS}}`);
      const items = Array.from({ length: ITEMS }, (_, i) => `{"line":${i + 1}}\n`);
      expect(text).toBe(items.join(""));
    });
  }
});
