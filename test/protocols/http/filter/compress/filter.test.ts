// Compression of answers: what comes out is decoded by the runtime's own decoders, and heads say what was done.

import { describe, expect, test } from "bun:test";
import { brotliDecompressSync, constants, gunzipSync, zstdDecompressSync } from "node:zlib";

import fc from "fast-check";

import { CompressFilter } from "../../../../../src/protocols/http/filter/compress/filter.ts";
import { COMPRESSION } from "../../../../../src/shared/limits.ts";
import {
  cut,
  RecordedClient,
  RecordedExchange,
  requestHead,
  type RequestParts,
  responseHead,
  type ResponseParts,
} from "../recorded-client.ts";

const DECODE = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync } as const;
/** Decodes what there is, also if it is not all. */
const PARTIAL = {
  gzip: { finishFlush: constants.Z_SYNC_FLUSH },
  br: { finishFlush: constants.BROTLI_OPERATION_FLUSH },
  zstd: { finishFlush: constants.ZSTD_e_flush },
} as const;
const CODINGS = ["gzip", "br", "zstd"] as const;
const HTML = { "content-type": "text/html; charset=utf-8" };
const PAGE = Buffer.from("<p>Whoever reads this has unpacked it.</p>\n".repeat(200));
const GONE = { code: "closed", message: "gone", unprocessed: false } as const;

function asked(accept: string, parts: RequestParts = {}) {
  const client = new RecordedClient();
  const exchange = new RecordedExchange();
  const head = requestHead({ ...parts, fields: { "accept-encoding": accept, ...parts.fields } });
  const stream = new CompressFilter().wrap(client, head);
  stream.events = exchange;
  return { client, exchange, head, stream };
}

/** Asks, and answers with a whole page. */
function got(response: ResponseParts, accept = "gzip", body = PAGE): RecordedClient {
  const { client, stream } = asked(accept);
  stream.sendHead(responseHead({ fields: HTML, ...response }));
  if (response.bodyless !== true) {
    stream.sendBody(body);
    stream.sendEnd(null);
  }
  return client;
}

function isCompressed(client: RecordedClient): boolean {
  return client.field("content-encoding") !== undefined;
}

describe.each(CODINGS)("an answer in %s", (coding) => {
  test("is what it was, however it came, and much smaller", () => {
    const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });
    fc.assert(
      fc.property(places, fc.boolean(), (at, known) => {
        const { client, stream } = asked(coding);
        stream.sendHead(responseHead({ fields: HTML, contentLength: known ? PAGE.length : -1 }));
        for (const piece of cut(PAGE, at)) stream.sendBody(piece);
        stream.sendEnd(null);
        expect(client.field("content-encoding")).toBe(coding);
        expect(client.contentLength).toBe(-1);
        expect(DECODE[coding](client.body).equals(PAGE)).toBe(true);
        expect(client.body.length).toBeLessThan(PAGE.length / 4);
        expect(client.ended).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test("larger than any buffer comes out whole", () => {
    const noise = Buffer.alloc(1_000_003);
    for (let i = 0, state = 1; i < noise.length; i++) {
      noise[i] = state = (state * 48_271) % 2_147_483_647;
    }
    const client = got({}, coding, noise);
    expect(DECODE[coding](client.body).equals(noise)).toBe(true);
  });

  test("of unknown length can be read at the end of the turn that brought it", async () => {
    const { client, stream } = asked(coding);
    stream.sendHead(responseHead({ fields: HTML }));
    let sent = "";
    for (const line of ["first line\n", "second line\n"]) {
      stream.sendBody(Buffer.from(line.slice(0, 3)));
      stream.sendBody(Buffer.from(line.slice(3)));
      sent += line;
      await Promise.resolve();
      expect(DECODE[coding](client.body, PARTIAL[coding]).toString()).toBe(sent);
    }
    stream.sendEnd(null);
    expect(DECODE[coding](client.body).toString()).toBe("first line\nsecond line\n");
  });

  test("that broke off leaves nothing behind for the next one", () => {
    for (const end of ["reset", "client"] as const) {
      const { client, exchange, stream } = asked(coding);
      stream.sendHead(responseHead({ fields: HTML }));
      stream.sendBody(PAGE);
      if (end === "reset") stream.reset(GONE);
      else client.events.onRequestFailure(GONE);
      expect(end === "reset" ? client.failure : exchange.failure).toEqual(GONE);
      expect(DECODE[coding](got({}, coding).body).equals(PAGE)).toBe(true);
    }
  });
});

describe("what is compressed", () => {
  test("is text and what is like it", () => {
    for (const type of [
      "text/plain",
      "TEXT/CSS",
      "application/json;charset=utf-8",
      "application/problem+json",
      "image/svg+xml",
      "application/wasm",
    ]) {
      expect([type, isCompressed(got({ fields: { "content-type": type } }))]).toEqual([type, true]);
    }
  });

  test("is not what is small already, events, or what is not known", () => {
    for (const type of [
      "image/png",
      "video/mp4",
      "application/zip",
      "font/woff2",
      "text/event-stream",
      "application/grpc-web+proto",
      "application/octet-stream",
    ]) {
      const client = got({ fields: { "content-type": type } });
      expect([type, isCompressed(client), client.field("vary")]).toEqual([type, false, undefined]);
      expect(client.body.equals(PAGE)).toBe(true);
    }
    expect(isCompressed(got({ fields: {} }))).toBe(false);
  });

  test("is at least 1 KiB, if the length is known", () => {
    expect(isCompressed(got({ contentLength: 1_023 }))).toBe(false);
    expect(isCompressed(got({ contentLength: 1_024 }))).toBe(true);
  });

  test("is not what the backend has compressed, or forbids to change", () => {
    for (const field of [
      { "content-encoding": "br" },
      { "content-encoding": "aws-chunked" },
      { "cache-control": "public, no-transform" },
      { "content-digest": "sha-256=:x:" },
      { "content-range": "bytes 0-10/20" },
    ]) {
      const client = got({ fields: { ...HTML, ...field } });
      expect(client.field("content-encoding")).toBe(field["content-encoding"]);
      expect(client.body.equals(PAGE)).toBe(true);
    }
    expect(isCompressed(got({ fields: { ...HTML, "content-encoding": "identity" } }))).toBe(true);
    expect(isCompressed(got({ fields: { ...HTML, "cache-control": "no-transformer" } }))).toBe(
      true,
    );
  });

  test("is not a part of something, nor nothing", () => {
    expect(isCompressed(got({ status: 206 }))).toBe(false);
    expect(isCompressed(got({ status: 204, bodyless: true }))).toBe(false);
    expect(isCompressed(got({ status: 304, bodyless: true }))).toBe(false);
  });

  test("is an error page, too", () => {
    expect(isCompressed(got({ status: 404 }))).toBe(true);
  });

  test("is nothing for clients that take nothing, of HTTP/1.0, or that upgrade or forbid it", () => {
    expect(isCompressed(got({}, "identity"))).toBe(false);
    const forbidding = { "accept-encoding": "gzip", "cache-control": "max-age=0,No-Transform" };
    const stream = new RecordedClient();
    expect(new CompressFilter().wrap(stream, requestHead({ fields: forbidding }))).toBe(stream);
    const client = new RecordedClient();
    const filter = new CompressFilter();
    const fields = { "accept-encoding": "gzip" };
    expect(filter.wrap(client, requestHead({ version: 10, fields }))).toBe(client);
    expect(filter.wrap(client, requestHead({ upgrade: "websocket", fields }))).toBe(client);
  });

  test("is bounded in number: what comes beyond goes as it is", () => {
    const open = Array.from({ length: COMPRESSION.openMax }, () => asked("gzip"));
    for (const { stream } of open) stream.sendHead(responseHead({ fields: HTML }));
    expect(isCompressed(got({}))).toBe(false);
    open[0]!.stream.reset(GONE);
    expect(isCompressed(got({}))).toBe(true);
    expect(isCompressed(got({}))).toBe(true);
    for (const { stream } of open.slice(1)) stream.sendEnd(null);
    for (const { client } of open.slice(1)) expect(gunzipSync(client.body)).toHaveLength(0);
  });
});

describe("the head", () => {
  const strong = { ...HTML, etag: '"v1"', "accept-ranges": "bytes" };

  test("of a compressed answer has a weak ETag, no ranges, and says on what it depends", () => {
    const { fields } = got({ fields: strong, contentLength: PAGE.length });
    expect(Object.fromEntries(fields)).toEqual({
      ...HTML,
      vary: "Accept-Encoding",
      "content-encoding": "gzip",
      etag: 'W/"v1"',
    });
  });

  test("of an answer that another client would get compressed differs in Vary alone", () => {
    const { fields, contentLength } = got({ fields: strong, contentLength: 5_000 }, "");
    expect(Object.fromEntries(fields)).toEqual({ ...strong, vary: "Accept-Encoding" });
    expect(contentLength).toBe(5_000);
  });

  test("keeps a Vary that says it already", () => {
    for (const vary of ["Origin, accept-encoding", "*"]) {
      expect(got({ fields: { ...HTML, vary } }).fields.filter(([n]) => n === "vary")).toEqual([
        ["vary", vary],
      ]);
    }
    expect(got({ fields: { ...HTML, vary: "Origin" } }).fields).toContainEqual([
      "vary",
      "Accept-Encoding",
    ]);
  });

  test("of an answer to HEAD is that of the answer to GET, without a body", () => {
    const client = got({ fields: strong, contentLength: PAGE.length, bodyless: true });
    expect(client.field("content-encoding")).toBe("gzip");
    expect([client.contentLength, client.bodyless, client.parts]).toEqual([-1, true, []]);
  });

  test("of 304 has the weak ETag that the client was given, and no other is touched", () => {
    const confirmed = (known: Record<string, string>): [string, string][] => {
      const { client, stream } = asked("gzip", { fields: known });
      stream.sendHead(responseHead({ status: 304, bodyless: true, fields: { etag: '"v1"' } }));
      return client.fields;
    };
    const weak = [
      ["vary", "Accept-Encoding"],
      ["etag", 'W/"v1"'],
    ];
    expect(confirmed({ "if-none-match": '"v0", W/"v1"' })).toEqual(weak as [string, string][]);
    expect(confirmed({ "if-none-match": '"v1"' })).toEqual([["etag", '"v1"']]);
    expect(confirmed({ "if-modified-since": "x" })).toEqual([["etag", '"v1"']]);
  });
});

test("backpressure and the request pass through", () => {
  const { client, exchange, stream } = asked("gzip");
  client.events.onRequestBody(Buffer.from("up"));
  client.events.onRequestEnd(null);
  expect([exchange.body.toString(), exchange.ended]).toEqual(["up", true]);
  client.more = false;
  stream.sendHead(responseHead({ fields: HTML }));
  const noise = crypto.getRandomValues(Buffer.alloc(64 * 1024));
  expect(stream.sendBody(noise)).toBe(false);
  client.more = true;
  client.events.onClientDrain();
  expect(exchange.drains).toBe(1);
  expect(stream.sendBody(Buffer.alloc(0))).toBe(true);
  stream.resume();
  expect(client.paused).toBe(false);
  stream.sendEnd(null);
  expect(gunzipSync(client.body).equals(noise)).toBe(true);
});
