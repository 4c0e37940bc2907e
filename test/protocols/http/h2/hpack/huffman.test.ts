// HPACK: see src/protocols/http/h2/hpack/huffman.ts.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import {
  huffmanBound,
  huffmanDecode,
  huffmanEncode,
  huffmanLength,
} from "../../../../../src/protocols/http/h2/hpack/huffman.ts";

function encode(bytes: Uint8Array): Uint8Array {
  const to = new Uint8Array(bytes.length * 4 + 4);
  return to.slice(0, huffmanEncode(bytes, 0, bytes.length, to, 0));
}

/** Written behind three bytes, which must stay. */
function decode(bytes: Uint8Array): Uint8Array | null {
  const to = new Uint8Array(huffmanBound(bytes.length) + 3).fill(7);
  const end = huffmanDecode(bytes, 0, bytes.length, to, 3);
  expect([...to.subarray(0, 3)]).toEqual([7, 7, 7]);
  return end < 0 ? null : to.slice(3, end);
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const hex = (value: string): Uint8Array =>
  new Uint8Array(Buffer.from(value.replaceAll(" ", ""), "hex"));

describe("the Huffman code", () => {
  test("encodes and decodes the examples of RFC 7541 appendix C", () => {
    for (const [plain, code] of [
      ["www.example.com", "f1e3 c2e5 f23a 6ba0 ab90 f4ff"],
      ["no-cache", "a8eb 1064 9cbf"],
      ["custom-value", "25a8 49e9 5bb8 e8b4 bf"],
      ["Mon, 21 Oct 2013 20:13:21 GMT", "d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff"],
      [
        "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
        "94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
      ],
    ] as const) {
      expect(encode(text(plain))).toEqual(hex(code));
      expect(decode(hex(code))).toEqual(text(plain));
    }
  });

  test("gives back whatever was encoded, at the length that was foretold", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const code = encode(bytes);
        expect(code.length).toBe(huffmanLength(bytes, 0, bytes.length));
        expect(decode(code)).toEqual(bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  test("encodes each octet alone and behind others", () => {
    for (let octet = 0; octet < 256; octet++) {
      for (const before of ["", "a", "ab", "abc", "0000000"]) {
        const bytes = Uint8Array.of(...text(before), octet);
        expect(decode(encode(bytes))).toEqual(bytes);
      }
    }
  });

  test("refuses EOS, padding of eight bits or more, and padding that is not of ones", () => {
    expect(decode(hex("ffffffff"))).toBeNull();
    expect(decode(hex("3fffffff"))).toBeNull();
    expect(decode(hex("ff"))).toBeNull();
    expect(decode(Uint8Array.of(...encode(text("12345678")), 0xff))).toBeNull(); // 40 bits, and eight more
    expect(decode(hex("18"))).toBeNull(); // "a", and 000
    expect(decode(hex("1f"))).toEqual(text("a"));
    expect(decode(hex(""))).toEqual(text(""));
  });

  test("never writes more than its bound, and never takes what it would encode otherwise", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const decoded = decode(bytes);
        if (decoded !== null) expect(encode(decoded)).toEqual(bytes);
      }),
      { numRuns: 5_000 },
    );
  });
});
