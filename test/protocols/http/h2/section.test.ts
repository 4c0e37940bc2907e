// What field sections mean (src/protocols/http/h2/section.ts): the neutral form of valid ones, and what is malformed.

import { describe, expect, test } from "bun:test";

import { HpackDecoder } from "../../../../src/protocols/http/h2/hpack/decoder.ts";
import { HpackEncoder } from "../../../../src/protocols/http/h2/hpack/encoder.ts";
import {
  readRequest,
  readResponse,
  readTrailers,
} from "../../../../src/protocols/http/h2/section.ts";
import { Fields, NEVER_INDEXED } from "../../../../src/protocols/http/message/fields.ts";
import {
  RequestHead,
  ResponseHead,
  UNKNOWN_LENGTH,
} from "../../../../src/protocols/http/message/heads.ts";
import { encode, type Entry } from "./hpack/codec.ts";

function decodeInto(fields: Fields, entries: readonly Entry[]): void {
  const block = encode(new HpackEncoder(), entries);
  expect(new HpackDecoder(65_536, 128).decode(block, 0, block.length, fields)).toBe(0);
}

function request(entries: readonly Entry[], ended = true): { wrong: string; head: RequestHead } {
  const head = new RequestHead();
  decodeInto(head.fields, entries);
  return { wrong: readRequest(head, ended), head };
}

function response(entries: readonly Entry[], ended = false): { wrong: string; head: ResponseHead } {
  const head = new ResponseHead();
  decodeInto(head.fields, entries);
  return { wrong: readResponse(head, ended), head };
}

const METHOD: Entry = [":method", "GET"];
const SCHEME: Entry = [":scheme", "https"];
const PATH: Entry = [":path", "/a?b"];
const AUTHORITY: Entry = [":authority", "a.example:8443"];
const GET: readonly Entry[] = [METHOD, SCHEME, PATH, AUTHORITY];
const CONNECT: Entry = [":method", "CONNECT"];
const PROTOCOL: Entry = [":protocol", "WebSocket"];

describe("requests", () => {
  test("have a neutral form", () => {
    const { wrong, head } = request(
      [
        ...GET,
        ["accept", "*/*"],
        ["te", "trailers"],
        ["expect", "100-continue"],
        ["content-length", "12"],
        ["host", "A.example:8443"],
        ["x-own", "1"],
      ],
      false,
    );
    expect(wrong).toBe("");
    expect([head.method, head.scheme, head.authority, head.path]).toEqual([
      "GET",
      "https",
      "a.example:8443",
      "/a?b",
    ]);
    expect([head.takesTrailers, head.expectsContinue, head.contentLength]).toEqual([
      true,
      true,
      12,
    ]);
    expect(head.fields.entries()).toEqual([
      ["accept", "*/*"],
      ["x-own", "1"],
    ]);
  });

  test("have a length of none, one that is told, or one that will show", () => {
    expect(request(GET).head.contentLength).toBe(0);
    expect(request(GET, false).head.contentLength).toBe(UNKNOWN_LENGTH);
    expect(request([...GET, ["content-length", "0"]]).head.contentLength).toBe(0);
  });

  test("take host for a missing :authority, * for OPTIONS, and any method that is a token", () => {
    expect(request([METHOD, SCHEME, PATH, ["host", "b.example"]]).head.authority).toBe("b.example");
    expect(request([[":method", "OPTIONS"], SCHEME, [":path", "*"], AUTHORITY]).head.path).toBe(
      "*",
    );
    expect(request([[":method", "M-SEARCH"], SCHEME, PATH, AUTHORITY]).head.method).toBe(
      "M-SEARCH",
    );
  });

  test("join crumbs of cookies, which keep being never indexed", () => {
    const { head } = request([
      ...GET,
      ["cookie", "a=1"],
      ["x", "y"],
      ["cookie", "b=2", true],
      ["cookie", "c=3"],
    ]);
    expect(head.fields.entries()).toEqual([
      ["cookie", "a=1; b=2; c=3"],
      ["x", "y"],
    ]);
    expect(head.fields.flags[head.fields.findNamed("cookie")]).toBe(NEVER_INDEXED);
  });

  test("CONNECT has an authority alone, and extended CONNECT is told as an upgrade", () => {
    const plain = request([CONNECT, AUTHORITY], false);
    expect([plain.wrong, plain.head.method, plain.head.path]).toEqual(["", "CONNECT", ""]);
    const { wrong, head } = request([CONNECT, PROTOCOL, SCHEME, PATH, AUTHORITY], false);
    expect([wrong, head.method, head.upgrade, head.path]).toEqual(["", "GET", "websocket", "/a?b"]);
  });

  test("are malformed where RFC 9113 says so, or where HTTP/1.1 would read something else", () => {
    const withField = (...fields: readonly Entry[]): Entry[] => [...GET, ...fields];
    const withPath = (path: string): Entry[] => [METHOD, SCHEME, [":path", path], AUTHORITY];
    const withAuthority = (text: string): Entry[] => [METHOD, SCHEME, PATH, [":authority", text]];
    const withMethod = (text: string): Entry[] => [[":method", text], SCHEME, PATH, AUTHORITY];
    const all: readonly (readonly Entry[])[] = [
      [],
      [SCHEME, PATH, AUTHORITY],
      [METHOD, PATH, AUTHORITY],
      [METHOD, SCHEME, AUTHORITY],
      [METHOD, SCHEME, PATH],
      [METHOD, ...GET],
      [...GET, SCHEME],
      [...GET, PATH],
      [...GET, AUTHORITY],
      [...GET, [":status", "200"]],
      [...GET, PROTOCOL],
      [["x", "y"], ...GET],
      [METHOD, ["x", "y"], SCHEME, PATH, AUTHORITY],
      [METHOD, [":scheme", "ftp"], PATH, AUTHORITY],
      [CONNECT],
      [CONNECT, SCHEME, PATH, AUTHORITY],
      [CONNECT, PROTOCOL, AUTHORITY],
      [CONNECT, PROTOCOL, SCHEME, PATH],
      [CONNECT, [":protocol", "web socket"], SCHEME, PATH, AUTHORITY],
      ...[
        "",
        "a",
        "*",
        "http://a.example/",
        "/a b",
        "/a\r\nx: y",
        "/a\0",
        "/\t",
        "/a#b",
        "/\x7f",
      ].map(withPath),
      ...["", "G ET", "GET /x HTTP/1.1\r\nx: y", "GET\t", "G\xc9T", "(GET)", "G".repeat(65)].map(
        withMethod,
      ),
      ...["a:b", "a:80:81", "a:123456", ":80", "[::1", "[]", "[::1]a", "a]"].map(withAuthority),
      ...["", "a@b", "a b", "a/b", "a?b", "a#b", "a\\b", "a\r\nb", "a,b\0", "\xe9"].map(
        withAuthority,
      ),
      withField(["connection", "close"]),
      withField(["keep-alive", "timeout=5"]),
      withField(["proxy-connection", "close"]),
      withField(["transfer-encoding", "chunked"]),
      withField(["upgrade", "h2c"]),
      withField(["te", "gzip"]),
      withField(["te", "trailers, gzip"]),
      withField(["host", "b.example"]),
      withField(["host", "a.example:8443"], ["host", "a.example:8443"]),
      withField(["content-length", "1"]),
      withField(["content-length", "0"], ["content-length", "0"]),
      withField(["content-length", ""]),
      withField(["content-length", "+0"]),
      withField(["content-length", "0, 0"]),
      withField(["content-length", "0x0"]),
      withField(["content-length", "9007199254740993"]),
      withField(["x", "a\r\nb"]),
      withField(["x", "a\nb"]),
      withField(["x", "a\0b"]),
      withField(["x", " a"]),
      withField(["x", "a "]),
      withField(["x", "\ta"]),
      withField([":x", "a"]),
      withField(["x y", "a"]),
      withField(["x:", "a"]),
      withField(["x\r\n", "a"]),
    ];
    for (const entries of all) expect([entries, request(entries).wrong]).not.toEqual([entries, ""]);
  });
});

describe("answers", () => {
  test("have a neutral form", () => {
    const { wrong, head } = response([
      [":status", "206"],
      ["content-length", "7"],
      ["x-own", "1"],
      ["expect", "x"],
    ]);
    expect([wrong, head.status, head.contentLength]).toEqual(["", 206, 7]);
    expect(head.fields.entries()).toEqual([
      ["x-own", "1"],
      ["expect", "x"],
    ]);
    expect(response([[":status", "999"]]).head.status).toBe(999);
    expect(response([[":status", "200"]]).head.contentLength).toBe(UNKNOWN_LENGTH);
  });

  test("are malformed without a status, with one that is none, or with fields of connections", () => {
    for (const entries of [
      [],
      [["x", "y"]],
      [[":status", "20"]],
      [[":status", "2000"]],
      [[":status", "2x0"]],
      [[":status", "099"]],
      [[":status", "101"]],
      [
        [":status", "200"],
        [":status", "200"],
      ],
      [
        [":status", "200"],
        [":path", "/"],
      ],
      [
        ["x", "y"],
        [":status", "200"],
      ],
      [
        [":status", "200"],
        ["connection", "close"],
      ],
      [
        [":status", "200"],
        ["transfer-encoding", "chunked"],
      ],
      [
        [":status", "200"],
        ["te", "trailers"],
      ],
      [
        [":status", "200"],
        ["content-length", "1"],
        ["content-length", "1"],
      ],
      [
        [":status", "200"],
        ["content-length", "-1"],
      ],
      [
        [":status", "200"],
        ["x", "a\rb"],
      ],
    ] as const) {
      expect([entries, response(entries).wrong]).not.toEqual([entries, ""]);
    }
    expect(response([[":status", "103"]], true).wrong).not.toBe("");
  });
});

describe("trailers", () => {
  test("are fields, without those that frame or route a message", () => {
    const fields = new Fields();
    decodeInto(fields, [
      ["x-sum", "7"],
      ["content-length", "5"],
      ["host", "a"],
      ["grpc-status", "0"],
    ]);
    expect(readTrailers(fields)).toBe("");
    expect(fields.entries()).toEqual([
      ["x-sum", "7"],
      ["grpc-status", "0"],
    ]);
  });

  test("are malformed with pseudo-header fields or fields of connections", () => {
    for (const entry of [
      [":path", "/"],
      [":status", "200"],
      ["connection", "x"],
      ["x", "a\nb"],
      [":x", "y"],
    ] as const) {
      const fields = new Fields();
      decodeInto(fields, [["x-sum", "7"], entry]);
      expect(readTrailers(fields)).not.toBe("");
    }
  });
});
