// The budget of retries over simulated time.

import { expect, test } from "bun:test";

import fc from "fast-check";

import { RetryBudget } from "../../src/l4/retry-budget.ts";
import { RETRY_BUDGET } from "../../src/shared/recovery-limits.ts";

test("is a share of the requests, and a few each second where that is less", () => {
  const budget = new RetryBudget({ share: 0.2, minPerSecond: 3 });
  const taken = (times: number, now: number): number => {
    let count = 0;
    for (let i = 0; i < times; i++) if (budget.take(now)) count++;
    return count;
  };
  expect(taken(10, 0)).toBe(3);
  expect(taken(10, 999)).toBe(0);
  expect(taken(10, 1_000)).toBe(3);
  for (let i = 0; i < 100; i++) budget.request(2_000);
  expect(taken(100, 2_000)).toBe(14); // of 20, six were used before
  expect(taken(100, 3_000)).toBe(3);
  expect(taken(100, 13_000)).toBe(3); // nobody has asked since
});

test("whatever is asked, no more is granted than both together allow", () => {
  const step = fc.record({
    requests: fc.nat(30),
    retries: fc.nat(60),
    afterMs: fc.oneof(fc.nat(50), fc.nat(4_000)),
  });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 80, size: "max" }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.nat(5),
      (steps, share, minPerSecond) => {
        const budget = new RetryBudget({ share, minPerSecond });
        const granted: number[] = [];
        const asked: number[] = [];
        let now = 0;
        for (const { requests, retries, afterMs } of steps) {
          now += afterMs;
          for (let i = 0; i < requests; i++) {
            budget.request(now);
            asked.push(now);
          }
          for (let i = 0; i < retries; i++) if (budget.take(now)) granted.push(now);
          const { windowMs } = RETRY_BUDGET;
          const since = (list: readonly number[], ms: number): number =>
            list.filter((at) => at > now - ms).length;
          // Each of the window was granted for what was asked up to a window before it.
          const most = share * since(asked, 2 * windowMs) + minPerSecond * (windowMs / 1_000 + 1);
          expect(since(granted, windowMs * 0.9)).toBeLessThanOrEqual(most);
        }
      },
    ),
  );
});
