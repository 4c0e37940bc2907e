// Round trips of the codec: whatever well-formed message comes in, in whatever pieces, is told as what it says, and is written as
// what it was. And whatever bytes come, in whatever pieces, the pieces make no difference.

import { describe, expect, test } from "bun:test";

import * as fc from "fast-check";

import { BodyReader } from "../../../../src/protocols/http/h1/body-reader.ts";
import { BodyWriter, CHUNKED } from "../../../../src/protocols/http/h1/body-writer.ts";
import { roomFor, writeRequest } from "../../../../src/protocols/http/h1/head-writer.ts";
import { OUTPUT, type OutputOwner } from "../../../../src/protocols/http/h1/output.ts";
import { beginsAsHttp2 } from "../../../../src/protocols/http/h1/preface.ts";
import { RequestReader } from "../../../../src/protocols/http/h1/request-reader.ts";
import { ResponseReader } from "../../../../src/protocols/http/h1/response-reader.ts";
import {
  MORE,
  REFUSED,
  type SectionReader,
} from "../../../../src/protocols/http/h1/section-reader.ts";
import { UNKNOWN_LENGTH } from "../../../../src/protocols/http/message/heads.ts";
import { findId, idOfText, nameOf, UNKNOWN } from "../../../../src/protocols/http/message/names.ts";
import { MemoryWire } from "./support/memory-wire.ts";
import { LIMITS } from "./support/setups.ts";

const RUNS = { numRuns: 300 };

const letters = (text: string, minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...text), minLength, maxLength });
const TCHARS = "!#$%&'*+-.^`|~09azAZ";
const name = letters(TCHARS, 1, 20).filter(
  (text) => findId(Buffer.from(text), 0, text.length) === UNKNOWN,
);
const visible = letters("!\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~\xa0\xff", 0, 40);
const value = fc
  .tuple(visible, fc.constantFrom("", " ", "\t "), visible)
  .map(([a, space, b]) => (a === "" || b === "" ? a + b : a + space + b));
const path = letters("/09azAZ-._~!$&'()*+,;=:@%?\"<>\\^`{|}[]", 0, 40).map((text) => `/${text}`);
const method = fc.constantFrom(
  "GET",
  "POST",
  "PUT",
  "DELETE",
  "OPTIONS",
  "PATCH",
  "M-SEARCH",
  "get",
);
const host = fc.constantFrom(
  "a.example",
  "a.example:8080",
  "[::1]",
  "[2001:db8::1]:443",
  "127.0.0.1:80",
  "a",
);
const fields = fc.array(fc.tuple(name, value), { maxLength: 30 });
const space = fc.constantFrom("", " ", "  ", "\t");

/** Where a message is cut: fractions of its length. */
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });

function split(bytes: Buffer, at: readonly number[]): Buffer[] {
  const positions = at
    .map((fraction) => Math.floor(fraction * bytes.length))
    .toSorted((a, b) => a - b);
  const pieces: Buffer[] = [];
  let start = 0;
  for (const position of [...positions, bytes.length]) {
    pieces.push(Buffer.from(bytes.subarray(start, position)));
    start = position;
  }
  return pieces;
}

/** @returns what is left behind the head; null if it is refused or does not end. */
function read(reader: SectionReader, pieces: readonly Buffer[]): Buffer | null {
  for (const [i, piece] of pieces.entries()) {
    if (piece.length === 0) continue;
    const copy = Buffer.from(piece);
    const next = reader.read(copy, 0, copy.length);
    expect(copy.equals(piece)).toBe(true); // what a wire gave is not written to
    if (next === REFUSED) return null;
    if (next === MORE) continue;
    return Buffer.concat([piece.subarray(next), ...pieces.slice(i + 1)]);
  }
  return null;
}

function written(reader: RequestReader): string {
  const owner: OutputOwner = { wire: new MemoryWire(), full: false, written: 0 };
  const from = OUTPUT.claim(owner, roomFor(reader.fields));
  const end = writeRequest(OUTPUT, from, reader.head);
  return end < 0 ? "" : Buffer.from(OUTPUT.bytes.subarray(from, end)).toString("latin1");
}

describe("heads", () => {
  test("of requests are told as they are, and written as they came", () => {
    fc.assert(
      fc.property(
        method,
        path,
        host,
        fields,
        space,
        cuts,
        fc.nat(50),
        (verb, target, authority, lines, before, at, behind) => {
          const own = lines.map(([key, text]) => `${key}:${before}${text}\r\n`).join("");
          const bytes = Buffer.from(
            `${verb} ${target} HTTP/1.1\r\nHost: ${authority}\r\n${own}\r\n${"x".repeat(behind)}`,
            "latin1",
          );
          const reader = new RequestReader(LIMITS);
          const rest = read(reader, split(bytes, at));
          expect(rest?.toString()).toBe("x".repeat(behind));
          const { head } = reader;
          expect([head.method, head.path, head.authority]).toEqual([verb, target, authority]);
          expect(head.fields.entries()).toEqual(
            lines.map(([key, text]) => [key.toLowerCase(), text]),
          );
          const length = ["POST", "PUT", "PATCH"].includes(verb) ? "Content-Length: 0\r\n" : "";
          const again = lines.map(([key, text]) => `${key}: ${text}\r\n`).join("");
          expect(written(reader)).toBe(
            `${verb} ${target} HTTP/1.1\r\nHost: ${authority}\r\n${again}${length}\r\n`,
          );
        },
      ),
      RUNS,
    );
  });

  test("of answers are told as they are", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 599 }),
        value,
        fields,
        fc.nat(),
        cuts,
        (status, reason, lines, length, at) => {
          const own = lines.map(([key, text]) => `${key}: ${text}\r\n`).join("");
          const bytes = Buffer.from(
            `HTTP/1.1 ${status} ${reason}\r\n${own}Content-Length: ${length}\r\n\r\n`,
            "latin1",
          );
          const reader = new ResponseReader(LIMITS);
          expect(read(reader, split(bytes, at))?.length).toBe(0);
          expect([reader.head.status, reader.head.contentLength]).toEqual([status, length]);
          expect(reader.fields.entries()).toEqual(
            lines.map(([key, text]) => [key.toLowerCase(), text]),
          );
        },
      ),
      RUNS,
    );
  });

  test("of any bytes mean the same in any pieces, and leave the reader usable", () => {
    const line = fc.oneof(
      fc.constantFrom(
        "GET / HTTP/1.1",
        "Host: a",
        "Connection: x-a",
        "Content-Length: 1",
        "Transfer-Encoding: chunked",
        "",
      ),
      letters("aA:_ \t\r\n\0\x7f;,/1", 0, 12),
    );
    const ending = fc.constantFrom("\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r");
    const text = fc
      .array(fc.tuple(line, ending), { maxLength: 8 })
      .map((lines) => lines.flat().join(""));
    const reader = new RequestReader(LIMITS);
    fc.assert(
      fc.property(text, cuts, (garbage, at) => {
        const bytes = Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${garbage}\r\n`, "latin1");
        reader.reset();
        const whole = read(reader, [bytes]);
        const wholeFields = whole === null ? null : reader.fields.entries();
        const { refusal } = reader;
        reader.reset();
        const inPieces = read(reader, split(bytes, at));
        expect(inPieces).toEqual(whole);
        if (whole === null) expect(reader.refusal).toEqual(refusal);
        else expect(reader.fields.entries()).toEqual(wholeFields!);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("bodies", () => {
  test("in chunks are written and read as they are", () => {
    const parts = fc.array(fc.uint8Array({ minLength: 0, maxLength: 40_000 }), { maxLength: 6 });
    fc.assert(
      fc.property(parts, cuts, fc.boolean(), (contents, at, trails) => {
        const wire = new MemoryWire();
        const writer = new BodyWriter({ wire, full: false, written: 0 });
        writer.begin(CHUNKED, 0);
        for (const content of contents) writer.send(content);
        const reader = new RequestReader(LIMITS);
        reader.fields.add("x-sum", "1");
        expect(writer.end(trails ? reader.fields : null)).toBe(true);
        OUTPUT.flush();
        const { content, trailers, rest } = readBody(
          UNKNOWN_LENGTH,
          split(Buffer.from(`${wire.sent}rest`, "latin1"), at),
        );
        expect(content.equals(Buffer.concat(contents))).toBe(true);
        expect(trailers).toEqual(trails ? [["x-sum", "1"]] : []);
        expect(rest).toBe("rest");
      }),
      { numRuns: 100 },
    );
  });

  test("with a length end where it says", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5_000 }), cuts, (length, at) => {
        const bytes = Buffer.from(`${"x".repeat(length)}rest`);
        const { content, rest } = readBody(length, split(bytes, at));
        expect([content.length, rest]).toEqual([length, "rest"]);
      }),
      RUNS,
    );
  });
});

function readBody(
  length: number,
  pieces: readonly Buffer[],
): { content: Buffer; trailers: [string, string][]; rest: string } {
  const body = new BodyReader(LIMITS);
  body.begin(length);
  const contents: Buffer[] = [];
  let rest = "";
  for (const piece of pieces) {
    let at = 0;
    while (at < piece.length && !body.complete) {
      at = body.next(piece, at, piece.length);
      expect(body.refusal).toBeNull();
      contents.push(Buffer.from(piece.subarray(body.start, body.end)));
    }
    rest += piece.toString("latin1", at);
  }
  return { content: Buffer.concat(contents), trailers: body.trailers?.entries() ?? [], rest };
}

describe("names", () => {
  test("are found in any case, and no others", () => {
    const known = Array.from({ length: 254 }, (_, id) => id)
      .slice(1)
      .map((id) => nameOf(id))
      .filter((text) => text !== undefined);
    fc.assert(
      fc.property(
        fc.constantFrom(...known),
        fc.func(fc.boolean()),
        fc.nat(),
        (text, isUpper, at) => {
          const mixed = [...text]
            .map((letter, i) => (isUpper(i) ? letter.toUpperCase() : letter))
            .join("");
          const id = idOfText(text);
          expect(id).not.toBe(UNKNOWN);
          expect(findId(Buffer.from(`:${mixed}:`), 1, mixed.length + 1)).toBe(id);
          const other = Buffer.from(mixed);
          other[at % other.length] = 0x7e;
          expect(findId(other, 0, other.length)).toBe(UNKNOWN);
        },
      ),
      RUNS,
    );
  });
});

describe("HTTP/2's preface", () => {
  const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

  test("is told from the first byte that differs", () => {
    for (let length = 0; length < PREFACE.length; length++) {
      const begun = PREFACE.slice(0, length);
      expect(beginsAsHttp2(Buffer.from(begun))).toBe("more");
      expect(beginsAsHttp2(Buffer.from(`${begun}x`))).toBe("no");
    }
    expect(beginsAsHttp2(Buffer.from(PREFACE))).toBe("yes");
    expect(beginsAsHttp2(Buffer.from(`${PREFACE}more`))).toBe("yes");
    expect(beginsAsHttp2(Buffer.from("POST / HTTP/1.1"))).toBe("no");
  });
});
