// Lines of the access log: what is in them, that nothing a client sends can forge one, and how they leave the worker.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { BatchedAccessLog } from "../../../../src/protocols/http/access/access-log.ts";
import { combinedFormat, jsonFormat } from "../../../../src/protocols/http/access/formats.ts";
import type { ExchangeRecord } from "../../../../src/protocols/http/passage.ts";
import { ACCESS_LOG } from "../../../../src/shared/limits.ts";
import { connection, wireTls } from "../route/heads.ts";

const RECORD: ExchangeRecord = {
  connection: connection(),
  method: "GET",
  path: "/a?b=c",
  host: "a.example",
  version: 11,
  requestId: "",
  userAgent: "",
  referer: "",
  status: 200,
  bytesUp: 0,
  bytesDown: 512,
  target: "",
  startedMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  connectMs: -1,
  headMs: -1,
  totalMs: 1.2041,
  retries: 0,
  failure: "",
};

const bytesOf = (text: string): Buffer => Buffer.from(text, "latin1");
const line = (format: typeof jsonFormat, changes: Partial<ExchangeRecord> = {}): string =>
  bytesOf(format()({ ...RECORD, ...changes })).toString("utf8");
const json = (changes: Partial<ExchangeRecord> = {}): Record<string, unknown> =>
  JSON.parse(line(jsonFormat, changes)) as Record<string, unknown>;
const combined = (changes: Partial<ExchangeRecord> = {}): string => line(combinedFormat, changes);

describe("JSON", () => {
  test("has what every exchange has, in one line", () => {
    expect(line(jsonFormat)).toBe(
      '{"time":"2026-01-02T03:04:05.678Z","client":"192.0.2.7","method":"GET","host":"a.example","path":"/a?b=c",' +
        '"protocol":"HTTP/1.1","status":200,"bytes_in":0,"bytes_out":512,"duration_ms":1.204}\n',
    );
  });

  test("has what applies to some", () => {
    const changes = {
      connection: connection({ address: "2001:db8::1", tls: wireTls() }),
      version: 20,
      requestId: "0af7",
      userAgent: "curl/8",
      referer: "https://b.example/",
      status: 502,
      bytesUp: 5_000_000_000,
      target: "10.0.0.1:80",
      connectMs: 0.21,
      headMs: 1,
      totalMs: 61_000.0299,
      retries: 2,
      failure: 'closed: it "went"',
    };
    expect(json(changes)).toEqual({
      time: "2026-01-02T03:04:05.678Z",
      client: "2001:db8::1",
      method: "GET",
      host: "a.example",
      path: "/a?b=c",
      protocol: "HTTP/2.0",
      status: 502,
      bytes_in: 5_000_000_000,
      bytes_out: 512,
      duration_ms: 61_000.03,
      connect_ms: 0.21,
      head_ms: 1,
      target: "10.0.0.1:80",
      request_id: "0af7",
      user_agent: "curl/8",
      referer: "https://b.example/",
      tls: "TLSv1.3",
      retries: 2,
      failure: 'closed: it "went"',
    });
  });

  test("calls a client that left before it was answered 499", () => {
    expect(json({ status: 0 })["status"]).toBe(499);
  });

  // Latin-1, as heads give it.
  const bytes = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

  test.each([
    ['"},\n{"', '"},\n{"'],
    ["\\", "\\"],
    ["\0\x07\x1b[31m\x7f", "\0\x07\x1b[31m\x7f"],
    [bytes("/bücher/日本/😀"), "/bücher/日本/😀"],
    ["/b\xfccher", "/b\\xfccher"],
    [bytes("ü").slice(0, 1), "\\xc3"],
    [bytes("😀").slice(0, 3), "\\xf0\\x9f\\x98"],
    ["\xc0\xaf", "\\xc0\\xaf"],
    ["\xe0\x80\xaf", "\\xe0\\x80\\xaf"],
    ["\xed\xa0\x80", "\\xed\\xa0\\x80"],
    ["\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"],
    ["\xff\xfe", "\\xff\\xfe"],
    [bytes("a\u2028b\u202ec\u2066d"), "a\\xe2\\x80\\xa8b\\xe2\\x80\\xaec\\xe2\\x81\\xa6d"],
    [bytes("\u009b31m"), "\u009b31m"],
  ])("writes %p so that it is read as %p", (path, expected) => {
    expect(json({ path })["path"]).toBe(expected);
    expect(line(jsonFormat, { path })).not.toMatch(/[\0-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]/);
  });

  test("writes what is not Latin-1 as UTF-8, so that no part of it is a byte of its own", () => {
    const failure = "tls: \u010a\u010d\u0122 日本";
    expect(json({ failure })["failure"]).toBe(failure);
    expect(combined({ userAgent: "\u010a" })).toEndWith('"\\xc4\\x8a"\n');
  });

  test("cuts off what is too long", () => {
    const { path } = json({ path: `/${"x".repeat(70_000)}` });
    expect(path).toHaveLength(ACCESS_LOG.textMax);
    expect(json({ path: "\0".repeat(70_000) })["path"]).toHaveLength(ACCESS_LOG.textMax);
  });
});

describe("the combined format", () => {
  test("is that of Apache and nginx", () => {
    expect(combined()).toBe(
      '192.0.2.7 - - [02/Jan/2026:03:04:05 +0000] "GET /a?b=c HTTP/1.1" 200 512 "-" "-"\n',
    );
    const changes = {
      userAgent: 'a "b" \\c',
      referer: "https://b.example/",
      status: 0,
      bytesDown: 0,
      version: 10,
    };
    expect(combined({ ...changes, connection: connection({ address: "" }) })).toBe(
      '- - - [02/Jan/2026:03:04:05 +0000] "GET /a?b=c HTTP/1.0" 499 0 "https://b.example/" "a \\"b\\" \\\\c"\n',
    );
  });

  test("writes all that is not visible ASCII as its bytes", () => {
    expect(combined({ userAgent: "\r\n\x1b\x7f\xc3\xbc\xff" })).toEndWith(
      '"\\x0d\\x0a\\x1b\\x7f\\xc3\\xbc\\xff"\n',
    );
  });
});

const anything = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
  fc.string({ unit: "binary", maxLength: 10 }).map((text) => Buffer.from(text).toString("latin1")),
);
const hostile = fc.record({
  method: anything,
  path: anything,
  host: anything,
  requestId: anything,
  userAgent: anything,
  referer: anything,
  target: anything,
  failure: anything,
});

test("whatever peers send, a line of JSON is one line, valid UTF-8, and parses to its own fields alone", () => {
  fc.assert(
    fc.property(hostile, (changes) => {
      const text = jsonFormat()({ ...RECORD, ...changes });
      const written = new TextDecoder("utf-8", { fatal: true }).decode(bytesOf(text));
      expect(written).toMatch(/^[^\0-\x1f\x7f-\x9f]+\n$/);
      const parsed = JSON.parse(written) as Record<string, unknown>;
      expect(parsed["status"]).toBe(200);
      expect(typeof parsed["path"]).toBe("string");
      // What is valid UTF-8 is what it was.
      const decoded = Buffer.from(changes.path, "latin1").toString("utf8");
      const isPlain = !/[\ufffd\u2028\u2029\u202a-\u202e\u2066-\u2069]/.test(decoded);
      if (isPlain) expect(parsed["path"]).toBe(decoded);
    }),
  );
});

test("whatever peers send, a combined line is one line of visible ASCII with the quotes of its format", () => {
  fc.assert(
    fc.property(hostile, (changes) => {
      const written = combined(changes);
      expect(written).toMatch(/^[\x20-\x7e]+\n$/);
      const unquoted = written.replace(/\\[\\"]/g, "");
      expect(unquoted.match(/"/g)).toHaveLength(6);
    }),
  );
});

describe("lines leave the worker", () => {
  interface Passed {
    text: string;
    lines: number;
  }
  const listen = (): { log: BatchedAccessLog; passed: Passed[]; next: () => Promise<Passed> } => {
    const passed: Passed[] = [];
    const waiting: ((batch: Passed) => void)[] = [];
    const log = new BatchedAccessLog("combined", (bytes, lines) => {
      const batch = { text: Buffer.from(bytes).toString(), lines };
      passed.push(batch);
      waiting.shift()?.(batch);
    });
    return { log, passed, next: () => new Promise((told) => waiting.push(told)) };
  };

  test("together, soon after the first", async () => {
    const { log, passed, next } = listen();
    const batch = next();
    for (let i = 0; i < 3; i++) log.record({ ...RECORD, path: `/${i}` });
    expect(passed).toEqual([]);
    const { text, lines } = await batch;
    expect([text.match(/GET \/\d/g), lines]).toEqual([["GET /0", "GET /1", "GET /2"], 3]);
    const second = next();
    log.record(RECORD);
    expect((await second).lines).toBe(1);
  });

  test("at once when there are enough of them, all and in order", () => {
    const { log, passed } = listen();
    for (let i = 0; i < 2_000; i++)
      log.record({ ...RECORD, path: `/${i}`, userAgent: "x".repeat(i % 300) });
    expect(passed.length).toBeGreaterThan(3);
    for (const { text } of passed) expect(text.length).toBeLessThanOrEqual(ACCESS_LOG.batchBytes);
    const long = "\0".repeat(ACCESS_LOG.textMax); // every character takes four
    log.record({ ...RECORD, path: "/2000", userAgent: long, referer: long, method: long });
    log.close();
    log.close();
    const paths = passed.flatMap(({ text }) => text.match(/(?<= \/)\d+(?= HTTP)/g) ?? []);
    expect(paths).toEqual(Array.from({ length: 2_001 }, (_, i) => String(i)));
    expect(passed.reduce((sum, { lines }) => sum + lines, 0)).toBe(2_001);
  });
});
