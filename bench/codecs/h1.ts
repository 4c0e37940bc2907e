// The codec of HTTP/1.1 by itself: nanoseconds to read a head, and to write it out again, in one thread without sockets.
//   bun bench/codecs/h1.ts [ROUNDS]
// Best of several rounds, since everything else on the machine only makes it slower.

import { roomFor, writeRequest, writeResponse } from "../../src/protocols/http/h1/head-writer.ts";
import { OUTPUT } from "../../src/protocols/http/h1/output.ts";
import { RequestReader } from "../../src/protocols/http/h1/request-reader.ts";
import { ResponseReader } from "../../src/protocols/http/h1/response-reader.ts";

const LIMITS = { headBytes: 65_536, headFields: 128 };
const HEADS_EACH = 20_000;

/** What wrk sends. */
const SMALL = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
/** What a browser sends. */
const BROWSER = [
  "GET /articles/2026/11/a-title-of-some-length?utm_source=newsletter HTTP/1.1",
  "Host: www.example.com",
  "Connection: keep-alive",
  'sec-ch-ua: "Chromium";v="142", "Not_A Brand";v="99"',
  "sec-ch-ua-mobile: ?0",
  'sec-ch-ua-platform: "Linux"',
  "Upgrade-Insecure-Requests: 1",
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
  "Sec-Fetch-Site: same-origin",
  "Sec-Fetch-Mode: navigate",
  "Sec-Fetch-Dest: document",
  "Referer: https://www.example.com/articles",
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Accept-Language: en-GB,en;q=0.9",
  "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
  "",
  "",
].join("\r\n");
/** What nginx answers. */
const ANSWER = [
  "HTTP/1.1 200 OK",
  "Server: nginx/1.22.1",
  "Date: Sun, 22 Nov 2026 17:00:00 GMT",
  "Content-Type: text/plain",
  "Content-Length: 13",
  "Last-Modified: Sun, 22 Nov 2026 16:00:00 GMT",
  "Connection: keep-alive",
  'ETag: "6740a1b0-d"',
  "Accept-Ranges: bytes",
  "",
  "",
].join("\r\n");

const FRAMING = { close: false, keepAlive: false, chunked: false, length: 13, upgrade: "" };

/** By name: what one head costs. */
export type Figures = Readonly<Record<string, number>>;

/** @param rounds of which the best counts. @param heads in each. */
export function measureCodec(rounds: number, heads = HEADS_EACH): Figures {
  const figures: Record<string, number> = {};
  for (const [name, text] of [
    ["small request", SMALL],
    ["browser's request", BROWSER],
  ] as const) {
    const bytes = Buffer.from(text);
    const reader = new RequestReader(LIMITS);
    figures[`read a ${name}`] = best(rounds, heads, () => {
      reader.reset();
      if (reader.read(bytes, 0, bytes.length) < 0) throw new Error(reader.refusal.message);
    });
    figures[`write a ${name}`] = best(rounds, heads, () => {
      if (writeRequest(OUTPUT, 0, reader.head) < 0) throw new Error("it cannot be written");
    });
  }
  const bytes = Buffer.from(ANSWER);
  const reader = new ResponseReader(LIMITS);
  figures["read an answer"] = best(rounds, heads, () => {
    reader.reset();
    if (reader.read(bytes, 0, bytes.length) < 0) throw new Error(reader.refusal.message);
  });
  if (roomFor(reader.fields) > OUTPUT.bytes.length) throw new Error("the buffer is too small");
  figures["write an answer"] = best(rounds, heads, () => {
    if (writeResponse(OUTPUT, 0, reader.head, FRAMING) < 0) throw new Error("it cannot be written");
  });
  return figures;
}

function best(rounds: number, heads: number, each: () => void): number {
  let least = Infinity;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    for (let i = 0; i < heads; i++) each();
    least = Math.min(least, ((performance.now() - start) * 1e6) / heads);
  }
  return least;
}

if (import.meta.main) {
  const figures = measureCodec(Number(process.argv[2] ?? 30));
  for (const [name, ns] of Object.entries(figures)) {
    process.stdout.write(`${name.padEnd(26)} ${ns.toFixed(0).padStart(6)} ns\n`);
  }
}
