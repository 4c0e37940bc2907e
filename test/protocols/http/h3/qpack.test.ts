// QPACK without a dynamic table: see src/protocols/http/h3/qpack.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import * as Static from "../../../../src/protocols/http/h2/hpack/static-table.ts";
import {
  BROKEN,
  DECODED,
  type Decoded,
  QpackDecoder,
  TOO_LARGE,
} from "../../../../src/protocols/http/h3/qpack/decoder.ts";
import { QpackEncoder } from "../../../../src/protocols/http/h3/qpack/encoder.ts";
import { STATIC_ENTRIES } from "../../../../src/protocols/http/h3/qpack/static-table.ts";
import { Fields, fieldsOf } from "../../../../src/protocols/http/message/fields.ts";
import { entriesOf, hex } from "../h2/hpack/codec.ts";

function decode(block: Uint8Array, bytes = 65_536, fields = 128) {
  const into = new Fields();
  const outcome: Decoded = new QpackDecoder(bytes, fields).decode(block, 0, block.length, into);
  return { outcome, entries: entriesOf(into), into };
}

function encode(entries: readonly (readonly [string, string])[]): Uint8Array {
  const fields = fieldsOf(entries);
  const encoder = new QpackEncoder();
  encoder.begin(new Uint8Array(1 << 17), 0);
  for (let i = 0; i < fields.count; i++) encoder.field(fields, i);
  return encoder.output.slice(0, encoder.at);
}

/** A section without its prefix. */
function section(text: string): Uint8Array {
  return hex(`0000${text}`);
}

describe("decoding of field sections", () => {
  test("RFC 9204 B.1: a literal with the name of a static entry", () => {
    const { outcome, entries } = decode(hex("0000 510b 2f69 6e64 6578 2e68 746d 6c"));
    expect(outcome).toBe(DECODED);
    expect(entries).toEqual([[":path", "/index.html"]]);
  });

  test("the static table begins at 0 and ends at 98", () => {
    expect(STATIC_ENTRIES).toBe(99);
    expect(decode(section("c0")).entries).toEqual([[":authority", ""]]);
    expect(decode(section("d1")).entries).toEqual([[":method", "GET"]]);
    expect(decode(section("d9")).entries).toEqual([[":status", "200"]]);
    expect(decode(section("ff23")).entries).toEqual([["x-frame-options", "sameorigin"]]);
    expect(decode(section("ff24")).outcome).toBe(BROKEN);
  });

  test("literal names, and what is never to be indexed", () => {
    expect(decode(section("23 61 62 63 01 7a")).entries).toEqual([["abc", "z"]]);
    expect(decode(section("33 61 62 63 01 7a")).entries).toEqual([["abc", "z", true]]);
    expect(decode(section("75 01 7a")).entries).toEqual([["cookie", "z", true]]);
  });

  test.each([
    ["a required insert count", "0100 d1"],
    ["a base", "0001 d1"],
    ["an entry of the dynamic table", "0000 80"],
    ["an entry behind the base", "0000 10"],
    ["a name of the dynamic table", "0000 40 0161"],
    ["a name behind the base", "0000 00 0161"],
    ["a prefix that is not whole", "00"],
    ["a value that is not whole", "0000 51 05 61"],
    ["a name that is not whole", "0000 25 61"],
    ["a Huffman code that is not valid", "0000 51 84 ffffffff"],
    ["an index without an end", "0000 ff ff ff ff ff ff"],
  ])("%s breaks the connection", (_what, block) => {
    expect(decode(hex(block)).outcome).toBe(BROKEN);
  });

  test("names and values that may not be sent are told as such", () => {
    expect(decode(section("21 41 01 7a")).into.ids[0]).toBe(Static.INVALID); // upper case
    expect(decode(section("21 61 01 0a")).into.ids[0]).toBe(Static.INVALID); // a line's end
    expect(decode(section("27 02 3a 62 6f 67 75 73 78 79 7a 00")).into.ids[0]).toBe(Static.INVALID);
  });

  test("bytes and fields are counted as SETTINGS_MAX_FIELD_SECTION_SIZE counts them", () => {
    const block = encode([
      ["a", "1"],
      ["b", "2"],
    ]);
    expect(decode(block, 68).outcome).toBe(DECODED);
    expect(decode(block, 67).outcome).toBe(TOO_LARGE);
    expect(decode(block, 68, 1).outcome).toBe(TOO_LARGE);
  });

  test("no bytes bring it out of its way", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const { outcome, into } = decode(bytes, 200, 8);
        expect([DECODED, TOO_LARGE, BROKEN]).toContain(outcome);
        expect(into.count).toBeLessThanOrEqual(8);
      }),
    );
  });
});

describe("encoding of field sections", () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,24}$/);
  const value = fc.stringMatching(/^([!-~]([ -~]{0,40}[!-~])?)?$/);
  const known = fc.constantFrom(
    "accept",
    "content-type",
    "cookie",
    "x-frame-options",
    "date",
    "via",
  );

  test("what is encoded is decoded as it was", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.oneof(name, known), value), { maxLength: 20 }),
        (entries) => {
          const { outcome, entries: read } = decode(encode(entries));
          expect(outcome).toBe(DECODED);
          expect(read.map(([each, text]) => [each, text])).toEqual(
            entries.map(([each, text]) => [each, text]),
          );
        },
      ),
    );
  });

  test("an entry of the static table costs its index", () => {
    expect(encode([["accept", "*/*"]])).toEqual(hex("0000 dd"));
    expect(encode([["accept-encoding", "gzip, deflate, br"]])).toEqual(hex("0000 df"));
    expect(encode([["x-content-type-options", "nosniff"]])).toEqual(hex("0000 fd"));
    expect(encode([["access-control-allow-headers", "*"]])).toEqual(hex("0000 ff0c"));
  });

  test("credentials are never indexed", () => {
    expect(decode(encode([["cookie", "a=b"]])).entries).toEqual([["cookie", "a=b", true]]);
    expect(decode(encode([["authorization", "Basic x"]])).entries).toEqual([
      ["authorization", "Basic x", true],
    ]);
  });
});
