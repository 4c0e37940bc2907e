// The histogram that all latencies go through: what it says against the sorted list of what went in.
import { describe, expect, test } from "bun:test";

import { array, assert, double, property } from "fast-check";

import { Histogram } from "../../../bench/load/histogram.ts";

const TICK_US = 0.1;

function filled(times: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const ms of times) histogram.record(ms);
  return histogram;
}

/** The exact percentile, by the same rule: the least time that as many lie within. */
function exactUs(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.max(1, Math.ceil(times.length * share)) - 1]! * 1000;
}

describe("histogram", () => {
  test("without a time says 0", () => {
    expect(new Histogram().percentileUs(0.99)).toBe(0);
  });

  test("short times are exact to a tenth of a microsecond", () => {
    expect(filled([0.0001, 0.0123, 0.0255]).percentileUs(0.5)).toBeCloseTo(12.3, 6);
  });

  test("one slow message in a thousand is not in the 99.9th percentile, two are", () => {
    const fast = Array.from({ length: 999 }, () => 0.02);
    expect(filled([...fast, 50]).percentileUs(0.999)).toBeCloseTo(20, 6);
    expect(filled([...fast.slice(1), 50, 50]).percentileUs(0.999)).toBeGreaterThanOrEqual(50_000);
  });

  test("every percentile is at most 1/128 and one tick above the exact one, and never below", () => {
    const times = array(double({ min: 0, max: 400_000, noNaN: true }), { minLength: 1 });
    const shares = double({ min: 0.001, max: 1, noNaN: true });
    assert(
      property(times, shares, (list, share) => {
        const said = filled(list).percentileUs(share);
        const exact = exactUs(list, share);
        expect(said).toBeGreaterThanOrEqual(exact - TICK_US);
        expect(said).toBeLessThanOrEqual(exact * (1 + 1 / 128) + TICK_US);
      }),
    );
  });

  test("a time beyond all bounds counts as the longest, a negative one as none", () => {
    const histogram = filled([Number.MAX_VALUE, -1]);
    expect(histogram.count).toBe(2);
    expect(histogram.percentileUs(0.5)).toBe(0);
    expect(histogram.percentileUs(1)).toBeGreaterThan(400e6);
  });

  test("is empty after it was cleared", () => {
    const histogram = filled([1, 2, 3]);
    histogram.clear();
    expect(histogram.count).toBe(0);
    expect(histogram.percentileUs(1)).toBe(0);
  });
});
