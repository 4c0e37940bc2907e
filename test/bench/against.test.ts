// Two checkouts against each other: quotients of turns that stood side by side, and what is kept of them.
import { describe, expect, test } from "bun:test";

import {
  compare,
  type Compared,
  type Comparison,
  type Duel,
  formatComparison,
  merged,
  type Sitting,
} from "../../bench/against.ts";
import type { Turn } from "../../bench/load/duel.ts";
import { quotient } from "../../bench/statistics.ts";

const DUEL: Duel = { name: "pingpong-64", title: "64 connections", connections: 64, bytes: 64 };

const turn = (cpuMs: number, messages = 1_000): Turn => ({ messages, cpuMs, elapsedMs: 100 });

function compared(name: string, engine: string, cpuMs: number): Compared {
  return compare({ ...DUEL, name }, engine, [[[turn(cpuMs)], [turn(10)]]]);
}

describe("quotient", () => {
  test("of 24 values, six may lie on either side of the interval", () => {
    const values = Array.from({ length: 24 }, (_, i) => ((i * 7) % 24) + 1);
    expect(quotient(values)).toEqual({ median: 12.5, low: 7, high: 18 });
  });

  test("of six values it is all of them, and of fewer as well", () => {
    expect(quotient([6, 1, 4, 2, 5, 3])).toEqual({ median: 3.5, low: 1, high: 6 });
    expect(quotient([2, 1, 3])).toEqual({ median: 2, low: 1, high: 3 });
    expect(quotient([1])).toEqual({ median: 1, low: 1, high: 1 });
  });
});

describe("comparison", () => {
  test("quotients are of pairs, not of medians: what slows both down does not count", () => {
    const slower: Sitting = [
      [turn(11), turn(110), turn(1_100)],
      [turn(10), turn(100), turn(1_000)],
    ];
    const { cpuUs, rate, pairs } = compare(DUEL, "epoll", [slower, slower]);
    expect(pairs).toBe(6);
    expect(cpuUs.quotient.low).toBeCloseTo(1.1);
    expect(cpuUs.quotient.high).toBeCloseTo(1.1);
    expect(cpuUs.now).toBe(110);
    expect(rate.quotient).toEqual({ median: 1, low: 1, high: 1 });
  });

  test("each start has its own median", () => {
    const { cpuUs } = compare(DUEL, "epoll", [
      [[turn(10)], [turn(10)]],
      [[turn(30)], [turn(10)]],
    ]);
    expect(cpuUs.starts).toEqual([1, 3]);
  });

  test("what was compared anew replaces the old, and the rest stays as long as the commits are the same", () => {
    const old: Comparison = {
      now: "new",
      before: "abc",
      compared: [compared("bulk", "uring", 9), compared("pingpong-64", "uring", 9)],
    };
    const fresh: Comparison = { ...old, compared: [compared("pingpong-64", "uring", 11)] };
    expect(merged(old, fresh).compared.map(({ name }) => name)).toEqual(["bulk", "pingpong-64"]);
    expect(merged(old, fresh).compared[1]!.cpuUs.now).toBe(11);
    expect(merged({ ...old, before: "def" }, fresh)).toEqual(fresh);
    expect(merged({ ...old, now: "newer" }, fresh)).toEqual(fresh);
    expect(merged(null, fresh)).toEqual(fresh);
  });

  test("the table has CPU time and the rate of each", () => {
    const table = formatComparison({
      now: "new",
      before: "abc",
      compared: [compared("bulk", "epoll", 9.7)],
    });
    expect(table).toContain(
      "| 64 connections, epoll, 1 pairs | CPU µs per message | 9.70 | 10.00 | 0.970 | 0.970 to 0.970 | 0.97 |",
    );
    expect(table).toContain("|  | messages/s | 10,000 | 10,000 | 1.000 | 1.000 to 1.000 | 1.00 |");
  });
});
