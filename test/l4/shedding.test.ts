// When new work is turned away: above the ceiling and never below it for long, more the further above, without flutter.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { Shedding, type SheddingRule } from "../../src/l4/shedding.ts";
import { SHEDDING } from "../../src/shared/limits.ts";

const RULE: SheddingRule = {
  resume: 0.8,
  full: 1.5,
  holdMs: 1_000,
  calmMs: 5_000,
  plateauMs: 20_000,
};
const CEILING = 100;

/** A value at a time, from the last one on. */
const looks = fc.array(
  fc.record({
    value: fc.integer({ min: 0, max: 300 }),
    afterMs: fc.integer({ min: 1, max: 3_000 }),
  }),
  { maxLength: 100 },
);

describe("shedding", () => {
  test("begins when the ceiling has been passed for a while, and not before", () => {
    const shedding = new Shedding(RULE);
    expect(shedding.look(120, CEILING, 0)).toBe(0);
    expect(shedding.look(120, CEILING, 999)).toBe(0);
    expect(shedding.look(100, CEILING, 1_000)).toBe(0); // it is not above: the time begins anew
    expect(shedding.look(120, CEILING, 2_000)).toBe(0);
    expect(shedding.look(120, CEILING, 3_000)).toBeGreaterThan(SHEDDING.leastShare);
  });

  test("turns away more the further it is above, and everything from `full` on", () => {
    const shedding = new Shedding({ ...RULE, holdMs: 0 });
    const shares = [101, 110, 125, 149, 150, 1_000].map((value) =>
      shedding.look(value, CEILING, value),
    );
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares[0]).toBeGreaterThanOrEqual(SHEDDING.leastShare);
    expect(shares.slice(-2)).toEqual([1, 1]);
  });

  test("ends below `resume` at once, and between that and the ceiling after a calm time", () => {
    const shedding = new Shedding({ ...RULE, holdMs: 0 });
    shedding.look(200, CEILING, 0);
    expect(shedding.look(81, CEILING, 10)).toBe(SHEDDING.leastShare);
    expect(shedding.look(80, CEILING, 20)).toBe(0);
    shedding.look(200, CEILING, 30);
    expect(shedding.look(90, CEILING, 40)).toBe(SHEDDING.leastShare);
    expect(shedding.look(90, CEILING, 5_039)).toBe(SHEDDING.leastShare);
    expect(shedding.look(90, CEILING, 5_040)).toBe(0);
  });

  test("turns away the least of it when the value does not move any more, and more again when it does", () => {
    const shedding = new Shedding({ ...RULE, holdMs: 0 });
    expect(shedding.look(200, CEILING, 0)).toBe(1);
    expect(shedding.look(197, CEILING, 19_999)).toBe(1);
    expect(shedding.look(198, CEILING, 20_000)).toBe(SHEDDING.leastShare);
    expect(shedding.relieved).toBe(true);
    expect(shedding.look(203, CEILING, 30_000)).toBe(SHEDDING.leastShare);
    expect(shedding.look(205, CEILING, 30_001)).toBe(1);
    expect(shedding.relieved).toBe(false);
    expect(shedding.look(205, CEILING, 50_001)).toBe(SHEDDING.leastShare);
    expect(shedding.look(50, CEILING, 50_002)).toBe(0);
    expect(shedding.relieved).toBe(false);
  });

  test("turns everything away at the wall, however long the value stays there", () => {
    const shedding = new Shedding({ ...RULE, holdMs: 0 });
    shedding.look(200, CEILING, 0, 200);
    expect(shedding.look(200, CEILING, 100_000, 200)).toBe(1);
    expect(shedding.look(199, CEILING, 100_001, 200)).toBe(SHEDDING.leastShare);
  });

  test("ends when its ceiling is taken away", () => {
    const shedding = new Shedding({ ...RULE, holdMs: 0 });
    expect(shedding.look(200, CEILING, 0)).toBe(1);
    expect(shedding.look(200, 0, 1)).toBe(0);
    expect(shedding.look(200, 0, 9_999)).toBe(0);
  });

  test("is a share of new work, whatever comes", () => {
    fc.assert(
      fc.property(looks, (steps) => {
        const shedding = new Shedding(RULE);
        let now = 0;
        for (const { value, afterMs } of steps) {
          const share = shedding.look(value, CEILING, (now += afterMs));
          const isAllowed = share === 0 || (share >= SHEDDING.leastShare && share <= 1);
          expect(isAllowed).toBe(true);
        }
      }),
    );
  });

  test("never begins while nothing was above the ceiling for long enough", () => {
    fc.assert(
      fc.property(looks, (steps) => {
        const shedding = new Shedding(RULE);
        let now = 0;
        let since = -1;
        for (const { value, afterMs } of steps) {
          now += afterMs;
          const before = shedding.share;
          if (value <= CEILING) since = -1;
          else if (since < 0) since = now;
          const share = shedding.look(value, CEILING, now);
          const mayBegin = since >= 0 && now - since >= RULE.holdMs;
          if (before === 0 && share > 0) expect(mayBegin).toBe(true);
          if (mayBegin) expect(share).toBeGreaterThan(0);
        }
      }),
    );
  });

  test("is over after a calm time below the ceiling, whatever was before", () => {
    fc.assert(
      fc.property(looks, fc.integer({ min: 0, max: CEILING }), (steps, calm) => {
        const shedding = new Shedding(RULE);
        let now = 0;
        for (const { value, afterMs } of steps) shedding.look(value, CEILING, (now += afterMs));
        shedding.look(calm, CEILING, now);
        expect(shedding.look(calm, CEILING, now + RULE.calmMs)).toBe(0);
      }),
    );
  });
});
