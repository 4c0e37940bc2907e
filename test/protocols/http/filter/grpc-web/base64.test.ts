// Base64 in any pieces, compared with the runtime's own.

import { expect, test } from "bun:test";

import fc from "fast-check";

import {
  Base64Decoder,
  Base64Encoder,
  decodedBytes,
  encodedBytes,
} from "../../../../../src/protocols/http/filter/grpc-web/base64.ts";
import { cut } from "../recorded-client.ts";

/** @returns null for what is refused. */
function decode(pieces: readonly Uint8Array[]): Buffer | null {
  const decoder = new Base64Decoder();
  const parts: Buffer[] = [];
  for (const piece of pieces) {
    const out = new Uint8Array(decodedBytes(piece.length));
    const written = decoder.decode(piece, 0, piece.length, out);
    if (written < 0) return null;
    parts.push(Buffer.from(out.subarray(0, written)));
  }
  return decoder.complete ? Buffer.concat(parts) : null;
}

function encode(pieces: readonly { bytes: Uint8Array; pad: boolean }[]): string {
  const encoder = new Base64Encoder();
  let text = "";
  for (const { bytes, pad } of pieces) {
    const out = new Uint8Array(encodedBytes(bytes.length));
    const written = encoder.encode(bytes, 0, bytes.length, out, pad);
    text += Buffer.from(out.subarray(0, written)).toString();
  }
  return text;
}

const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });

test("whatever Base64 says comes out, however it is cut and where segments end", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), places, (segments, at) => {
      const text = segments.map((segment) => Buffer.from(segment).toString("base64")).join("");
      expect(decode(cut(Buffer.from(text), at))).toEqual(Buffer.concat(segments));
    }),
  );
});

test("bytes in any pieces become the text that the runtime makes of the whole", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), places, (bytes, at) => {
      const pieces = cut(bytes, at).map((piece) => ({ bytes: piece, pad: false }));
      pieces.push({ bytes: new Uint8Array(0), pad: true });
      expect(encode(pieces)).toBe(Buffer.from(bytes).toString("base64"));
    }),
  );
});

test("what was padded is whole by itself, and another segment may follow", () => {
  const bytes = Buffer.from("ab");
  expect(
    encode([
      { bytes, pad: true },
      { bytes, pad: false },
      { bytes, pad: true },
    ]),
  ).toBe("YWI=YWJhYg==");
});

test("what is no Base64 is refused", () => {
  const wrong = [
    "YWI", // padding is missing
    "Y",
    "Y===",
    "=",
    "====",
    "YW=I", // nothing of a group may follow its padding
    "YQ=",
    "YQ=A",
    "YWJ=", // bits are left over
    "YR==",
    "YW-_", // the alphabet of URLs
    "YW I",
    "YWJj\n",
    "YWJj\u0000",
    "YWJjé",
  ];
  for (const text of wrong)
    expect([text, decode([Buffer.from(text, "latin1")])]).toEqual([text, null]);
});
