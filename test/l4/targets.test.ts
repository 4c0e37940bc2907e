// The way of a connection over its targets: what it tries, what others learn of it, and what changes meanwhile.

import { describe, expect, test } from "bun:test";

import { Targets } from "../../src/l4/targets.ts";
import { parseEndpoint } from "../../src/shared/address.ts";
import { addCounters, createCounters, emptyStats } from "../../src/shared/counters.ts";
import type { TargetSlot, WorkerEvent } from "../../src/shared/messages.ts";
import { type GroupPlan, singleTarget } from "../../src/shared/plan.ts";

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
    expect(states()).toEqual(["up", "half_open", "up"]);
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
    expect(attempt.lack).toEqual(["target_down", "every target is draining or disabled"]);
    expect(setUp([]).targets.begin(0).lack[0]).toBe("no_address");
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
