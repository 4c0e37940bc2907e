// The frame of the load programs: what counts and what does not.
import { describe, expect, test } from "bun:test";

import { measured, repeated, timed } from "../../../bench/load/interval.ts";

const request = { port: 0, pids: [], warmMs: 5 };

describe("interval", () => {
  test("the first of two rounds only warms up", () => {
    const rounds: number[] = [];
    const result = measured({ ...request, runMs: 10 }, (going) => {
      let done = 0;
      while (going(done)) done++;
      rounds.push(done);
      return { done };
    });
    expect(rounds).toHaveLength(2);
    expect(result.done).toBe(rounds[1]!);
    expect(result.elapsedMs).toBeGreaterThanOrEqual(10);
  });

  test("of repetitions the one with the median time is the result", () => {
    const times = [30, 10, 50, 20, 40];
    const next = (): { elapsedMs: number } => ({ elapsedMs: times.pop()! });
    expect(repeated({ ...request, warmMs: 0, repetitions: 5 }, next)).toEqual({ elapsedMs: 30 });
    expect(times).toEqual([]);
  });

  test("repetitions that warm up do not count", () => {
    let calls = 0;
    const result = repeated({ ...request, repetitions: 1 }, () => ({ elapsedMs: ++calls }));
    expect(calls).toBeGreaterThan(1);
    expect(result.elapsedMs).toBe(calls);
  });

  test("no process has no CPU time", () => {
    expect(timed([], () => ({ done: 1 }))).toMatchObject({ done: 1, userMs: 0, systemMs: 0 });
  });
});
