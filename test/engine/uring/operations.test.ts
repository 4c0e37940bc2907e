// What a completion's user_data says: kind and index go in and come out, for every index that a table of rows can have.

import { expect, test } from "bun:test";

import * as fc from "fast-check";

import * as Op from "../../../src/engine/uring/operations.ts";
import { RELAY } from "../../../src/shared/limits.ts";

const KINDS: readonly number[] = Object.values(Op).filter((value) => typeof value === "number");
const DIRECTIONS = RELAY.rowsMax * 2;

test("every kind of operation has a number of its own", () => {
  expect(new Set(KINDS).size).toBe(KINDS.length);
  expect(KINDS.length).toBeGreaterThan(7);
});

test("kind and index come out as they went in, through a signed word", () => {
  const index = fc.oneof(fc.nat(DIRECTIONS - 1), fc.constantFrom(0, 1, DIRECTIONS - 1));
  const property = fc.property(fc.constantFrom(...KINDS), index, (kind, at) => {
    const low = new Int32Array([Op.userLow(kind, at)])[0]!; // as it stands in an entry
    expect(Op.kindOf(low)).toBe(kind);
    expect(Op.indexOf(low)).toBe(at);
  });
  fc.assert(property, { numRuns: 1_000 });
});

test("the word has room for 2^28 indices, a sign bit included", () => {
  const low = new Int32Array([Op.userLow(Op.OP_CANCEL_ACCEPT, 2 ** 28 - 1)])[0]!;
  expect(low).toBeLessThan(0);
  expect(Op.indexOf(low)).toBe(2 ** 28 - 1);
  expect(Op.kindOf(low)).toBe(Op.OP_CANCEL_ACCEPT);
});
