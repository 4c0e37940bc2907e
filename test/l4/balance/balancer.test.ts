// Balancing: shares by weight, turns, loads, clients that stay, and what is tried when targets fail.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import {
  type BalancedTarget,
  Balancer,
  type BalancerInput,
} from "../../../src/l4/balance/balancer.ts";
import { parseIp } from "../../../src/shared/ip.ts";
import type { Balance } from "../../../src/shared/plan.ts";

const BALANCES: readonly Balance[] = ["round_robin", "least_connections", "random", "source_hash"];

/** `a:5 b c:2 d!`: names, weights, and `!` for a backup. */
function targets(text: string): BalancedTarget[] {
  return text.split(" ").map((word) => {
    const [, name = "", weight = "1", backup] = /^(\w+)(?::(\d+))?(!)?$/.exec(word)!;
    return { name, weight: Number(weight), backup: backup === "!" };
  });
}

/** Numbers from 0 to below 1, the same in every run (mulberry32). */
function chance(seed = 1): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function balancer(
  text: string,
  balance: Balance,
  input: Partial<BalancerInput> = {},
): { pick: (ip?: Uint8Array) => string; all: BalancedTarget[]; balancer: Balancer } {
  const all = targets(text);
  const active = new Int32Array(all.length);
  const chosen = new Balancer(all, balance, { active, random: chance(), skip: 0, ...input });
  const usable = new Uint8Array(all.length).fill(1);
  const pick = (ip?: Uint8Array): string => all[chosen.pick(usable, null, ip ?? null)]!.name;
  return { pick, all, balancer: chosen };
}

function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

/** 10.0.0.0, 10.0.0.1, … */
function client(i: number): Uint8Array {
  return parseIp(`10.${(i >>> 16) & 255}.${(i >>> 8) & 255}.${i & 255}`)!;
}

function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 });
const named = (list: readonly number[]): string =>
  list.map((weight, i) => `t${i}:${weight}`).join(" ");

describe("round_robin", () => {
  test("spreads a heavy target between the light ones", () => {
    const { pick } = balancer("a:5 b c", "round_robin");
    expect(times(14, () => pick()).join("")).toBe("aabacaa".repeat(2));
  });

  test("gives each target exactly its weight in every round", () => {
    fc.assert(
      fc.property(weights, (list) => {
        const { pick } = balancer(named(list), "round_robin");
        const total = list.reduce((sum, weight) => sum + weight, 0);
        for (let round = 0; round < 3; round++) {
          const counts = tally(times(total, () => pick()));
          expect(list.map((_, i) => counts[`t${i}`])).toEqual(list);
        }
      }),
    );
  });

  test("begins elsewhere in each worker", () => {
    const first = times(4, (skip) => balancer("a b c", "round_robin", { skip }).pick());
    expect(first).toEqual(["a", "b", "c", "a"]);
  });
});

describe("least_connections", () => {
  test("takes the target with the fewest for its weight", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 1_000 }), fc.nat(1_000)), {
          minLength: 1,
          maxLength: 8,
        }),
        (list) => {
          const active = Int32Array.from(list, ([, open]) => open);
          const { pick } = balancer(named(list.map(([weight]) => weight)), "least_connections", {
            active,
          });
          const loads = list.map(([weight, open]) => open / weight);
          expect(loads[Number(pick().slice(1))]).toBe(Math.min(...loads));
        },
      ),
    );
  });

  test("takes equals in turn, by weight", () => {
    const { pick } = balancer("a:2 b:1", "least_connections");
    expect(tally(times(9, () => pick()))).toEqual({ a: 6, b: 3 });
  });

  test("fills targets in proportion to their weights when connections stay", () => {
    const active = new Int32Array(3);
    const { pick } = balancer("a:1 b:2 c:5", "least_connections", { active });
    times(800, () => active["abc".indexOf(pick())]!++);
    expect([...active]).toEqual([100, 200, 500]);
  });
});

describe("random", () => {
  test("fills targets in proportion to their weights when connections stay", () => {
    const active = new Int32Array(4);
    const { pick } = balancer("a:1 b:2 c:3 d:4", "random", { active });
    times(10_000, () => active["abcd".indexOf(pick())]!++);
    for (let i = 0; i < 4; i++)
      expect(Math.abs(active[i]! / (1_000 * (i + 1)) - 1)).toBeLessThan(0.05);
  });

  test("of two, takes the one with fewer", () => {
    const active = Int32Array.of(5, 1);
    const { pick } = balancer("a b", "random", { active });
    expect(new Set(times(50, () => pick()))).toEqual(new Set(["b"]));
  });

  test("never draws the same target twice, whatever chance gives", () => {
    for (const value of [0, 0.5, 1 - 2 ** -53]) {
      const active = Int32Array.of(9, 9, 0);
      const { pick } = balancer("a:7 b:1 c:1", "random", { active, random: () => value });
      expect(pick()).toBeOneOf(["a", "b", "c"]);
    }
  });
});

test("shares may change, as in a slow start, in every strategy but source_hash", () => {
  for (const balance of ["round_robin", "least_connections", "random"] as const) {
    const { pick, balancer: chosen } = balancer("a b", balance);
    chosen.weights[1] = 0.1;
    const { b = 0 } = tally(times(1_100, () => pick()));
    expect(b).toBeWithin(balance === "random" ? 70 : 99, balance === "random" ? 131 : 102);
  }
});

describe("source_hash", () => {
  const CLIENTS = times(2_000, client);
  const places = (text: string): string[] => {
    const { pick } = balancer(text, "source_hash");
    return CLIENTS.map((ip) => pick(ip));
  };

  test("a client stays, in every worker and whatever the order of targets", () => {
    expect(places("a b:2 c")).toEqual(places("c a b:2"));
    expect(balancer("a b c", "source_hash", { skip: 2 }).pick(client(7))).toBe(
      balancer("a b c", "source_hash").pick(client(7)),
    );
  });

  test("clients are spread by weight", () => {
    const counts = tally(places("a:1 b:2 c:3 d:4"));
    "abcd".split("").forEach((name, i) => {
      expect(Math.abs(counts[name]! / (200 * (i + 1)) - 1)).toBeLessThan(0.2);
    });
  });

  test("IPv6 clients that differ in their last bits are spread too", () => {
    const { pick } = balancer("a b c d", "source_hash");
    const counts = tally(times(2_000, (i) => pick(parseIp(`2001:db8::${i.toString(16)}`)!)));
    for (const name of "abcd") expect(Math.abs(counts[name]! / 500 - 1)).toBeLessThan(0.2);
  });

  test("a target that goes moves only its own clients, and one that comes moves clients only to itself", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 6 }),
        fc.nat(),
        (list, which) => {
          const gone = which % list.length;
          const words = named(list).split(" ");
          const all = places(words.join(" "));
          const left = places(words.filter((_, i) => i !== gone).join(" "));
          all.forEach((name, i) => {
            if (name !== `t${gone}`) expect(left[i]).toBe(name);
          });
        },
      ),
      { numRuns: 20 },
    );
  });

  test("a target that is down moves only its own clients, who come back with it", () => {
    const all = targets("a b c");
    const input = { active: new Int32Array(3), random: chance(), skip: 0 };
    const chosen = new Balancer(all, "source_hash", input);
    const [up, down] = [Uint8Array.of(1, 1, 1), Uint8Array.of(1, 0, 1)];
    for (const ip of CLIENTS.slice(0, 200)) {
      const before = chosen.pick(up, null, ip);
      const during = chosen.pick(down, null, ip);
      if (before === 1) expect(during).not.toBe(1);
      else expect(during).toBe(before);
    }
  });

  test("a heavier target takes clients and gives none away", () => {
    const [light, heavy] = [places("a b c:1"), places("a b c:5")];
    light.forEach((name, i) => expect(heavy[i]).toBeOneOf([name, "c"]));
  });

  test("clients of unix sockets, who have no address, are spread in turn", () => {
    const { pick } = balancer("a b", "source_hash");
    expect(tally(times(10, () => pick()))).toEqual({ a: 5, b: 5 });
  });
});

describe("what is tried", () => {
  const list = fc.array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 6 });

  test("is each candidate once: primaries, then backups, or all of them when all are down", () => {
    fc.assert(
      fc.property(list, fc.constantFrom(...BALANCES), fc.nat(), (states, balance, seed) => {
        const words = states.map(([, backup], i) => `t${i}${backup ? "!" : ""}`).join(" ");
        const { balancer: chosen } = balancer(words, balance, { random: chance(seed) });
        const usable = Uint8Array.from(states, ([up]) => (up ? 1 : 0));
        const tried = new Uint8Array(states.length);
        const order: { index: number; tier: string }[] = [];
        for (;;) {
          const index = chosen.pick(usable, tried, client(seed));
          if (index < 0) break;
          expect(tried[index]).toBe(0);
          tried[index] = 1;
          order.push({ index, tier: chosen.tier });
        }
        const anyUp = usable.includes(1);
        const expected = states.flatMap(([up], i) => (up || !anyUp ? [i] : []));
        expect(order.map(({ index }) => index).toSorted((a, b) => a - b)).toEqual(expected);
        // No primary behind a backup.
        const backups = order.map(({ index }) => states[index]![1]);
        expect(backups).toEqual(backups.toSorted((a, b) => Number(a) - Number(b)));
        for (const { index, tier } of order) {
          expect(tier).toBe(anyUp ? (states[index]![1] ? "backup" : "primary") : "down");
        }
      }),
      { numRuns: 300 },
    );
  });
});
