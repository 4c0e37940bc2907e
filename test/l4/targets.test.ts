// The way of a connection over its targets: what it tries, what others learn of it, and what changes meanwhile.

import { describe, expect, test } from "bun:test";

import { Targets } from "../../src/l4/targets.ts";
import { parseEndpoint } from "../../src/shared/address.ts";
import { addCounters, createCounters, emptyStats } from "../../src/shared/counters.ts";
import type { TargetSlot, WorkerEvent } from "../../src/shared/messages.ts";
import { type BreakerPlan, type GroupPlan, singleTarget } from "../../src/shared/plan.ts";
import { breakerPlan } from "../support/breaker.ts";

function slot(index: number, more: Partial<TargetSlot> = {}): TargetSlot {
  const address = { kind: "ip" as const, host: "10.0.0.1", port: index + 1 };
  const name = "abcdef"[index]!;
  return {
    slot: index,
    group: 0,
    index: 0,
    address,
    name,
    weight: 1,
    backup: false,
    up: true,
    mode: "enabled",
    addedMs: 0,
    ...more,
  };
}

const PLAN: GroupPlan = singleTarget(parseEndpoint("10.0.0.1:1", "target"));

function setUp(slots: readonly TargetSlot[], plans: readonly GroupPlan[] = [PLAN]) {
  const told: string[] = [];
  let prepared = 0;
  const emit = (event: WorkerEvent): void => {
    if (event.type === "target") told.push(`${event.target} ${event.to}`);
    else told.push(event.type);
  };
  const counters = createCounters(8);
  const listener = { key: "tcp :1", groups: plans };
  const request = { listener, targets: slots, targetSlots: 8, counters };
  const options = { prepare: () => prepared++, emit, random: () => 0, skip: 0 };
  const targets = new Targets<number>(request, options, 0);
  const stats = (index: number) => {
    const sum = emptyStats(8);
    addCounters(sum, counters);
    return sum.targets[index]!;
  };
  return { targets, told, stats };
}

/** Names of what connections try that never get through. */
function triesOf(targets: Targets<number>, now = 0): string {
  const attempt = targets.begin(0);
  let tries = "";
  for (let next = attempt.next(null, now); next; next = attempt.next(null, now)) {
    tries += next.name;
    attempt.failed(now);
  }
  return tries;
}

describe("an attempt", () => {
  test("tries every target once, the backup last", () => {
    const { targets } = setUp([slot(0), slot(1, { backup: true }), slot(2)]);
    expect(triesOf(targets)).toBe("acb");
    expect(triesOf(targets)).toBe("cab");
  });

  test("goes on with the targets that it began with", () => {
    const { targets } = setUp([slot(0), slot(1)]);
    const attempt = targets.begin(0);
    expect(attempt.next(null, 0)!.name).toBe("a");
    targets.update([slot(2)], 0);
    attempt.failed(0);
    expect(attempt.next(null, 0)!.name).toBe("b");
    attempt.succeeded(0);
    targets.leave(1);
    expect(triesOf(targets)).toBe("c");
  });

  test("counts how many are left, and none for a group without addresses", () => {
    const { targets } = setUp([slot(0), slot(1)], [PLAN, PLAN]);
    const attempt = targets.begin(0);
    expect(attempt.left).toBe(2);
    attempt.next(null, 0);
    attempt.failed(0);
    expect(attempt.left).toBe(1);
    expect(targets.begin(1).left).toBe(0);
  });

  test("that is abandoned says nothing about the target", () => {
    const { targets, told } = setUp([slot(0), slot(1)]);
    for (let i = 0; i < 10; i++) {
      const attempt = targets.begin(0);
      attempt.next(null, 0);
      attempt.abandoned();
    }
    expect(told).toEqual([]);
  });
});

describe("what others learn", () => {
  test("three failures in a row leave a target out, and all of them make it the last resort", () => {
    const { targets, told } = setUp([slot(0), slot(1)]);
    for (let i = 0; i < 3; i++) triesOf(targets);
    expect(told).toEqual(["a ejected", "b ejected"]);
    expect(triesOf(targets)).toHaveLength(2);
    expect(triesOf(targets, 999)).toHaveLength(2);
    expect(told.slice(2)).toEqual(["last_resort"]); // one a second
  });

  test("a target that stands alone is never left out", () => {
    const { targets, told } = setUp([slot(0)]);
    for (let i = 0; i < 10; i++) expect(triesOf(targets)).toBe("a");
    expect(told).toEqual([]);
  });

  test("what was learnt of a target stays when others come and go, and goes with its address", () => {
    const { targets, told } = setUp([slot(0), slot(1)]);
    for (let i = 0; i < 3; i++) {
      const attempt = targets.begin(0);
      for (let next = attempt.next(null, 0); next; next = attempt.next(null, 0)) {
        if (next.name === "a") attempt.failed(0);
        else {
          attempt.succeeded(0);
          break;
        }
      }
      targets.begin(0).next(null, 0); // the other one's turn
    }
    expect(told).toContain("a ejected");
    targets.update([slot(0), slot(1), slot(2)], 0);
    expect(triesOf(targets)).not.toContain("a");
    targets.update([slot(0, { name: "x" }), slot(1)], 0);
    expect(triesOf(targets)).toContain("x");
  });

  test("probes take a target out and bring it back", () => {
    const { targets, told } = setUp([slot(0), slot(1)]);
    targets.update([slot(0, { up: false }), slot(1)], 0);
    expect(triesOf(targets)).toBe("b");
    targets.update([slot(0), slot(1)], 0);
    expect(triesOf(targets)).toHaveLength(2);
    expect(told).toEqual([]);
  });

  test("what is held of a target stands in shared memory", () => {
    const { targets, stats } = setUp([slot(0), slot(1), slot(2, { up: false })]);
    const states = () =>
      [0, 1, 2].map((i) => Object.entries(stats(i).states).find(([, n]) => n)![0]);
    expect(states()).toEqual(["up", "up", "down"]);
    for (let i = 0; i < 3; i++) triesOf(targets);
    expect(states()).toEqual(["ejected", "ejected", "down"]);
    triesOf(targets, 1_000);
    expect(states()).toEqual(["ejected", "ejected", "down"]);
    expect([0, 1, 2].map((i) => stats(i).ejections)).toEqual([2, 2, 0]);
    targets.begin(0).next(null, 3_000);
    expect(states()).toEqual(["half_open", "half_open", "down"]);
    targets.update([slot(0, { name: "x" }), slot(2)], 3_000);
    expect(states()).toEqual(["up", "up", "up"]);
  });
});

describe("a target that the operator has taken out", () => {
  test("is tried by nobody, not as a last resort either, and does not keep others from being one", () => {
    for (const mode of ["draining", "disabled"] as const) {
      const { targets, told } = setUp([slot(0, { mode }), slot(1)]);
      expect(targets.begin(0).left).toBe(1);
      for (let i = 0; i < 4; i++) expect(triesOf(targets)).toBe("b");
      expect(told).toEqual(["b ejected", "last_resort"]);
    }
  });

  test("is not gone on to by an attempt that began before", () => {
    const { targets } = setUp([slot(0), slot(1), slot(2)]);
    const attempt = targets.begin(0);
    const first = attempt.next(null, 0)!;
    const [second, third] = [0, 1, 2].filter((index) => index !== first.slot);
    targets.update([slot(first.slot), slot(second!, { mode: "draining" }), slot(third!)], 0);
    attempt.failed(0);
    expect(attempt.next(null, 0)!.slot).toBe(third!);
    attempt.failed(0);
    expect(attempt.next(null, 0)).toBeUndefined();
  });

  test("may be the only one: then there is nothing to try, and the reason is not that no address is known", () => {
    const { targets } = setUp([slot(0, { mode: "draining" })]);
    const attempt = targets.begin(0);
    expect([attempt.left, attempt.next(null, 0)]).toEqual([0, undefined]);
    expect(attempt.lackAt(0)).toMatchObject({
      reason: "target_down",
      detail: "every target is draining or disabled",
    });
    expect(setUp([]).targets.begin(0).lackAt(0).reason).toBe("no_address");
    targets.update([slot(0)], 0);
    expect(triesOf(targets)).toBe("a");
  });

  test("has a new beginning when it was disabled, and none when it was draining", () => {
    for (const mode of ["draining", "disabled"] as const) {
      const { targets } = setUp([slot(0), slot(1), slot(2)]);
      for (let i = 0; i < 3; i++) triesOf(targets);
      targets.update([slot(0, { mode }), slot(1), slot(2)], 0);
      targets.update([slot(0), slot(1), slot(2)], 0);
      expect(triesOf(targets)).toHaveLength(mode === "disabled" ? 1 : 3);
    }
  });
});

test("a target without weight is tried when no other is left", () => {
  const { targets } = setUp([slot(0, { weight: 0 }), slot(1), slot(2, { backup: true })]);
  for (let i = 0; i < 2; i++) expect(triesOf(targets)).toBe("bca");
});

describe("a circuit breaker", () => {
  const SHORT = { openMs: 100, maxOpenMs: 1_000, probes: 2, statuses: [503] };
  const withBreaker = (breaker: Partial<BreakerPlan> = {}): GroupPlan[] => [
    { ...PLAN, breaker: breakerPlan({ ...SHORT, ...breaker }) },
  ];

  test("opens for a target that stands alone, says when it may be tried again, and closes after its probes", () => {
    const { targets, told } = setUp([slot(0)], withBreaker());
    for (let i = 0; i < 2; i++) expect(triesOf(targets)).toBe("a");
    const refused = targets.begin(0);
    expect(refused.next(null, 40)).toBeUndefined();
    expect(refused.lackAt(40)).toEqual({ reason: "circuit_open", detail: "a", retryMs: 60 });
    const probes = [targets.begin(0), targets.begin(0)];
    for (const probe of probes) expect(probe.next(null, 100)!.name).toBe("a");
    const late = targets.begin(0);
    expect(late.next(null, 100)).toBeUndefined();
    expect(late.lackAt(100)).toMatchObject({ reason: "circuit_open", retryMs: 1_000 });
    for (const probe of probes) probe.succeeded(110);
    expect(told).toEqual(["a ejected", "a half_open", "a up"]);
    expect(targets.begin(0).next(null, 110)!.name).toBe("a");
  });

  test("sends nobody to targets that are all open, and clients elsewhere while one is not", () => {
    const { targets, told } = setUp([slot(0), slot(1)], withBreaker());
    for (let i = 0; i < 2; i++) expect(triesOf(targets)).toHaveLength(2);
    expect(triesOf(targets, 99)).toBe("");
    expect(targets.begin(0).lackAt(99).detail).toBe("a, b");
    expect(told).toEqual(["b ejected", "a ejected"]);
  });

  test("tries them all the same where that is asked for", () => {
    const { targets, told } = setUp([slot(0), slot(1)], withBreaker({ refuses: false }));
    for (let i = 0; i < 3; i++) expect(triesOf(targets)).toHaveLength(2);
    expect(told).toEqual(["b ejected", "a ejected", "last_resort"]);
    const alone = setUp([slot(0)], withBreaker({ refuses: false }));
    for (let i = 0; i < 5; i++) expect(triesOf(alone.targets)).toBe("a");
  });

  test("has no client sent where probes found every target down", () => {
    const { targets } = setUp([slot(0, { up: false })], withBreaker());
    const attempt = targets.begin(0);
    expect(attempt.next(null, 0)).toBeUndefined();
    expect(attempt.lackAt(0).reason).toBe("target_down");
  });

  test("takes answers for failures that are named", () => {
    const { targets, told } = setUp([slot(0)], withBreaker());
    for (const status of [200, 503, 500, 503, 503]) {
      const attempt = targets.begin(0);
      attempt.next(null, 0);
      attempt.answered(status, 0);
      targets.leave(0);
    }
    expect(told).toEqual(["a ejected"]);
    expect(targets.activeOf(0)).toBe(0);
  });

  test("of one target of two: an answer is not asked for elsewhere while the other is open", () => {
    const { targets } = setUp([slot(0), slot(1)], withBreaker({ openMs: 1_000 }));
    for (let i = 0; i < 4; i++) {
      const attempt = targets.begin(0);
      const target = attempt.next(null, i)!;
      if (target.name === "a") attempt.failed(i);
      else {
        attempt.passedOver(200, i);
        expect(targets.activeOf(1)).toBe(0);
      }
    }
    const attempt = targets.begin(0);
    expect(attempt.next(null, 9)!.name).toBe("b");
    expect([attempt.left, attempt.hasOther]).toEqual([2, false]);
    targets.update([slot(0), slot(1), slot(2)], 9);
    const other = targets.begin(0);
    expect(other.next(null, 9)!.name).not.toBe("a");
    expect(other.hasOther).toBe(true);
  });

  test("gives back the place of a probe that is under way while targets come and go", () => {
    const { targets } = setUp([slot(0)], withBreaker({ probes: 1 }));
    for (let i = 0; i < 2; i++) triesOf(targets);
    const probe = targets.begin(0);
    expect(probe.next(null, 100)!.name).toBe("a");
    targets.update([slot(0), slot(1, { up: false })], 100);
    expect(triesOf(targets, 100)).toBe("");
    probe.abandoned();
    expect(targets.begin(0).next(null, 100)!.name).toBe("a");
  });

  test("does not take what a target showed for what is shown of another one at its place", () => {
    const { targets, told, stats } = setUp([slot(0)], withBreaker());
    const early = [targets.begin(0), targets.begin(0)];
    for (const attempt of early) attempt.next(null, 0);
    targets.update([], 0);
    targets.update([slot(0, { name: "x" })], 0);
    for (const attempt of early) attempt.failed(0);
    expect([told, stats(0).ejections]).toEqual([[], 0]);
    expect(targets.begin(0).next(null, 0)!.name).toBe("x");
  });
});

describe("slow start", () => {
  const slowly = (balance: GroupPlan["balance"]): GroupPlan[] => [
    { ...PLAN, balance, slowStartMs: 1_000 },
  ];

  /** How many of a hundred go to the target named b, while none of them ends. */
  function shareOfB(targets: Targets<number>, now: number): number {
    let count = 0;
    const taken: number[] = [];
    for (let i = 0; i < 110; i++) {
      const attempt = targets.begin(0);
      const target = attempt.next(null, now)!;
      attempt.succeeded(now);
      taken.push(target.slot);
      if (target.name === "b") count++;
    }
    for (const each of taken) targets.leave(each);
    return count;
  }

  test("gives a target that was added a tenth at first, and all of its share in the end", () => {
    for (const balance of ["round_robin", "least_connections"] as const) {
      const { targets } = setUp([slot(0)], slowly(balance));
      targets.update([slot(0), slot(1, { addedMs: 5_000 })], 5_000);
      expect([5_000, 5_500, 6_000].map((now) => shareOfB(targets, now))).toEqual([10, 37, 55]);
    }
  });

  test("gives it to targets that were ejected, down or disabled, and not to those of the start", () => {
    const plans = slowly("round_robin");
    const backs: ((targets: Targets<number>) => void)[] = [
      (targets) => {
        for (let i = 0; i < 3; i++) {
          const attempt = targets.begin(0);
          while (attempt.next(null, 0)!.name !== "b") attempt.failed(0);
          attempt.failed(0);
          // The other one works.
          const another = targets.begin(0);
          while (another.next(null, 0)!.name === "b") another.abandoned();
          another.succeeded(0);
          targets.leave(0);
        }
        const attempt = targets.begin(0);
        while (attempt.next(null, 5_000)!.name !== "b") attempt.abandoned();
        attempt.succeeded(5_000);
        targets.leave(1);
      },
      (targets) => {
        targets.update([slot(0), slot(1, { up: false })], 0);
        targets.update([slot(0), slot(1)], 5_000);
      },
      (targets) => {
        targets.update([slot(0), slot(1, { mode: "disabled" })], 0);
        targets.update([slot(0), slot(1)], 5_000);
      },
    ];
    for (const back of backs) {
      const { targets } = setUp([slot(0), slot(1)], plans);
      expect(shareOfB(targets, 0)).toBe(55);
      back(targets);
      expect(shareOfB(targets, 5_000)).toBeWithin(9, 12);
      expect(shareOfB(targets, 6_000)).toBe(55);
    }
  });
});
