// Percentiles of what was counted in buckets, between two readings.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { difference, percentile, sum } from "../../src/dashboard/histogram.ts";

const boundsMs = [1, 10, 100];

describe("a percentile", () => {
  test("lies in its bucket, as far as its share of that bucket's answers", () => {
    expect(percentile({ boundsMs, counts: [0, 100, 0, 0] }, 0.5)).toBe(5.5);
    expect(percentile({ boundsMs, counts: [50, 50, 0, 0] }, 0.5)).toBe(1);
    expect(percentile({ boundsMs, counts: [98, 0, 2, 0] }, 0.99)).toBe(55);
  });

  test("beyond the last bound is that bound, and of no answers it is not known", () => {
    expect(percentile({ boundsMs, counts: [0, 0, 0, 3] }, 0.5)).toBe(100);
    expect(percentile({ boundsMs, counts: [0, 0, 0, 0] }, 0.5)).toBeNull();
  });

  test("never falls as the share grows", () => {
    const counts = fc.array(fc.nat(1_000), { minLength: 4, maxLength: 4 });
    const share = fc.double({ min: 0.01, max: 1, noNaN: true });
    fc.assert(
      fc.property(counts, share, share, (each, a, b) => {
        fc.pre(each.some((count) => count > 0));
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        expect(percentile({ boundsMs, counts: each }, low)!).toBeLessThanOrEqual(
          percentile({ boundsMs, counts: each }, high)!,
        );
      }),
    );
  });
});

test("what was counted before is taken off, and what began anew cannot be compared", () => {
  const before = { boundsMs, counts: [1, 2, 3, 4] };
  expect(difference({ boundsMs, counts: [1, 4, 3, 9] }, before)?.counts).toEqual([0, 2, 0, 5]);
  expect(difference({ boundsMs, counts: [0, 4, 3, 9] }, before)).toBeNull();
  expect(difference({ boundsMs, counts: [1, 2, 3] }, before)).toBeNull();
});

test("those of several listeners are added up", () => {
  expect(sum([])).toBeNull();
  expect(
    sum([
      { boundsMs, counts: [1, 2, 3, 4] },
      { boundsMs, counts: [1, 0, 0, 1] },
    ]),
  ).toEqual({
    boundsMs,
    counts: [2, 2, 3, 5],
  });
});
