// Tokens as servers take them: in pieces, compared as a whole.

import { expect, test } from "bun:test";

import fc from "fast-check";

import { ShownToken } from "../../../src/protocols/quic/token.ts";
import { QUIC_TOKEN } from "../../../src/shared/limits.ts";

const bytes = fc.uint8Array({ minLength: 1, maxLength: QUIC_TOKEN.maxBytes });
const bufferOf = (array: Uint8Array): ArrayBuffer => new Uint8Array(array).buffer;

test("a token that comes in any pieces is the token, and every other one is not", () => {
  fc.assert(
    fc.property(bytes, bytes, fc.array(fc.nat(50)), (token, other, cuts) => {
      const shown = new ShownToken();
      let at = 0;
      for (const cut of [...cuts, token.length]) {
        expect(shown.take(token.subarray(at, at + cut))).toBe(true);
        at = Math.min(at + cut, token.length);
      }
      expect(shown.matches(bufferOf(token))).toBe(true);
      expect(shown.matches(bufferOf(other))).toBe(Buffer.from(other).equals(token));
    }),
  );
});

test("what is longer than any token is not kept", () => {
  const shown = new ShownToken();
  expect(shown.take(new Uint8Array(QUIC_TOKEN.maxBytes))).toBe(true);
  expect(shown.take(new Uint8Array(1))).toBe(false);
  expect(new ShownToken().matches(new ArrayBuffer(1))).toBe(false);
});
