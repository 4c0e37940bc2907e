// HPACK: see src/protocols/http/h2/hpack/encoder.ts.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { DECODED, HpackDecoder } from "../../../../../src/protocols/http/h2/hpack/decoder.ts";
import { HpackEncoder } from "../../../../../src/protocols/http/h2/hpack/encoder.ts";
import { decode, encode, type Entry } from "./codec.ts";

const ANSWER: Entry[] = [
  [":status", "200"],
  ["server", "nginx"],
  ["date", "Sun, 22 Nov 2026 16:00:00 GMT"],
  ["content-type", "text/plain"],
  ["x-own", "value"],
];

describe("encoding of field sections", () => {
  test("what was sent before is sent as one octet each", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(65_536, 128);
    const lengths: number[] = [];
    for (let i = 0; i < 4; i++) {
      const block = encode(encoder, ANSWER);
      expect(decode(decoder, block)).toEqual({ outcome: DECODED, entries: ANSWER });
      lengths.push(block.length);
    }
    expect(lengths[3]).toBe(ANSWER.length);
  });

  test("values that change each time have no place in the table", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(65_536, 128);
    for (let i = 0; i < 100; i++) {
      const entries: Entry[] = [
        ["etag", `"${i}"`],
        ["x-request-id", `r${i}`],
      ];
      expect(decode(decoder, encode(encoder, entries)).entries).toEqual(entries);
    }
    expect(decoder.table.count).toBe(0);
  });

  test("credentials, and what came in as never indexed, leave as never indexed", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(65_536, 128);
    for (let i = 0; i < 3; i++) {
      const entries: Entry[] = [
        ["authorization", "Basic eA=="],
        ["cookie", "a=b"],
        ["set-cookie", "c=d"],
        ["x-secret", "s", true],
      ];
      expect(decode(decoder, encode(encoder, entries)).entries).toEqual(
        entries.map(([name, value]) => [name, value, true] as const),
      );
    }
    expect(decoder.table.count).toBe(0);
  });

  test("names of the static table are sent as its index, also those that have no number here", () => {
    for (const name of [
      "accept-charset",
      "Content-Location",
      "from",
      "if-unmodified-since",
      "refresh",
      "etag",
    ]) {
      const block = encode(new HpackEncoder(), [[name, "v"]]);
      expect(block.length).toBeLessThanOrEqual(4);
      expect(decode(new HpackDecoder(65_536, 128), block).entries).toEqual([
        [name.toLowerCase(), "v"],
      ]);
    }
  });

  test("names are sent in lower case, and found again in any case", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(65_536, 128);
    for (const name of ["X-Own", "x-own", "X-OWN", "x-oWN"]) {
      expect(decode(decoder, encode(encoder, [[name, "v"]])).entries).toEqual([["x-own", "v"]]);
    }
    expect(decoder.table.count).toBe(1);
  });

  test("the peer's changes of the table's size are told at the next block, the smallest first", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(65_536, 128);
    for (let i = 0; i < 2; i++) decode(decoder, encode(encoder, ANSWER));
    encoder.setMaximum(0);
    encoder.setMaximum(1 << 20);
    const block = encode(encoder, ANSWER);
    expect([...block.subarray(0, 4)]).toEqual([0x20, 0x3f, 0xe1, 0x1f]);
    expect(decode(decoder, block).entries).toEqual(ANSWER);
    encoder.setMaximum(100);
    decoder.setAllowed(100);
    for (let i = 0; i < 3; i++) {
      expect(decode(decoder, encode(encoder, ANSWER)).entries).toEqual(ANSWER);
      expect(decoder.table.size).toBeLessThanOrEqual(100);
    }
    encoder.setMaximum(0);
    decoder.setAllowed(0);
    for (let i = 0; i < 3; i++)
      expect(decode(decoder, encode(encoder, ANSWER)).entries).toEqual(ANSWER);
  });

  test("any sections, one after another and with any sizes of the table, come out as they went in", () => {
    const name = fc.oneof(
      fc.constantFrom(
        "server",
        "date",
        "x-a",
        "x-b",
        "content-type",
        "accept-encoding",
        "cookie",
        "from",
        "refresh",
      ),
      fc.stringMatching(/^[a-z0-9-]{1,12}$/),
    );
    const value = fc.oneof(
      fc.constantFrom("", "1", "gzip, deflate", "text/html"),
      fc.stringMatching(/^[!-~]{1,40}$/),
      fc.stringMatching(/^[!-~\x80-\xff]{900,1400}$/),
    );
    const section = fc.array(fc.tuple(name, value, fc.boolean()), { maxLength: 12 });
    const step = fc.record({ section, size: fc.option(fc.integer({ min: 0, max: 5_000 })) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder(1 << 20, 1_000);
        for (const { section: fields, size } of steps) {
          if (size !== null) encoder.setMaximum(size);
          const { outcome, entries } = decode(decoder, encode(encoder, fields));
          expect(outcome).toBe(DECODED);
          expect(entries.map(([each, text]) => [each, text])).toEqual(
            fields.map(([each, text]) => [each, text]),
          );
        }
      }),
      { numRuns: 60 },
    );
  });
});
