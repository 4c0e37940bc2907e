// How late a loop is: what is told of beats that come late, of rest, and of what was a while ago.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { Lag } from "../../src/l4/lag.ts";
import { LAG } from "../../src/shared/limits.ts";

describe("the lag of a loop", () => {
  test("is what a beat is late, and is told until a second is over", () => {
    const lag = new Lag();
    lag.busy(1_000);
    expect(lag.dueMs).toBe(1_000 + LAG.beatMs);
    lag.beat(lag.dueMs + 700, false);
    expect([lag.lastMs, lag.worstMs]).toEqual([700, 700]);
    const late = lag.dueMs;
    while (lag.dueMs < late + LAG.windowMs) lag.beat(lag.dueMs, false);
    expect([lag.lastMs, lag.worstMs]).toEqual([0, 700]);
    while (lag.dueMs < late + 2 * LAG.windowMs) lag.beat(lag.dueMs, false);
    expect(lag.worstMs).toBe(0);
  });

  test("is none while nothing happens: there is no beat then, until something does", () => {
    const lag = new Lag();
    lag.busy(0);
    let beats = 0;
    for (; lag.dueMs < Infinity; beats++) lag.beat(lag.dueMs, true);
    expect(beats).toBe((2 * LAG.windowMs) / LAG.beatMs);
    lag.busy(60_000);
    expect(lag.dueMs).toBe(60_000 + LAG.beatMs);
    lag.beat(lag.dueMs, true);
    expect(lag.worstMs).toBe(0);
  });

  test("goes on being told where rest is not wanted", () => {
    const lag = new Lag();
    lag.busy(0);
    for (let i = 0; i < 100; i++) lag.beat(lag.dueMs, false);
    expect(lag.dueMs).toBe(101 * LAG.beatMs);
  });

  test("is the worst of what was late within half a second, and nothing that is older than three halves of a second", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2_000), { maxLength: 200 }), (lates) => {
        const lag = new Lag();
        lag.busy(0);
        const seen: { at: number; late: number }[] = [];
        for (const late of lates) {
          const at = lag.dueMs + late;
          lag.beat(at, false);
          seen.push({ at, late });
          const within = (ms: number): number =>
            Math.max(...seen.filter((beat) => at - beat.at < ms).map((beat) => beat.late));
          expect(lag.worstMs).toBeGreaterThanOrEqual(within(LAG.windowMs));
          expect(lag.worstMs).toBeLessThanOrEqual(within(3 * LAG.windowMs));
        }
      }),
    );
  });
});
