// Health of targets over simulated time: ejection, return, probes, and a model that plays any sequence of events.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { type EjectionLimits, type HealthChange, TargetHealth } from "../../src/l4/health.ts";
import { ProbeResults } from "../../src/l4/probe-results.ts";

const LIMITS: EjectionLimits = { failures: 3, firstMs: 100, maxMs: 450, calmMs: 1_000 };

/** A target that has failed for the `round`th time in its half-open state, or for the first time. */
function ejectAgain(health: TargetHealth, now: number): HealthChange | null {
  health.refresh(now);
  if (health.state(0) === "half_open") {
    health.began(0);
    return health.failed(0, now);
  }
  health.failed(0, now);
  health.failed(0, now);
  return health.failed(0, now);
}

describe("ejection", () => {
  test("needs failures in a row", () => {
    const health = new TargetHealth(2, LIMITS);
    expect([health.failed(0, 0), health.failed(0, 0), health.succeeded(0, 0)]).toEqual([
      null,
      null,
      null,
    ]);
    expect([health.failed(0, 0), health.failed(0, 0)]).toEqual([null, null]);
    expect(health.failed(0, 5)).toEqual({ target: 0, from: "up", to: "ejected", forMs: 100 });
    expect([...health.usable]).toEqual([0, 1]);
  });

  test("ends after its time with one connection that finds out", () => {
    const health = new TargetHealth(1, LIMITS);
    ejectAgain(health, 0);
    expect(health.refresh(99)).toEqual([]);
    expect(health.refresh(100)).toEqual([
      { target: 0, from: "ejected", to: "half_open", forMs: 0 },
    ]);
    expect(health.usable[0]).toBe(1);
    health.began(0);
    expect(health.usable[0]).toBe(0);
    expect(health.succeeded(0, 110)).toEqual({
      target: 0,
      from: "half_open",
      to: "up",
      forMs: 0,
    });
    expect(health.usable[0]).toBe(1);
  });

  test("lets another connection find out when the client of the first one left", () => {
    const health = new TargetHealth(1, LIMITS);
    ejectAgain(health, 0);
    health.refresh(100);
    health.began(0);
    health.abandoned(0);
    expect([health.state(0), health.usable[0]!]).toEqual(["half_open", 1]);
  });

  test("lasts twice as long each time, up to a limit", () => {
    const health = new TargetHealth(1, LIMITS);
    const lengths: number[] = [];
    for (let now = 0; lengths.length < 5; now += 450) lengths.push(ejectAgain(health, now)!.forMs);
    expect(lengths).toEqual([100, 200, 400, 450, 450]);
  });

  test("goes on growing when a target returns only for a moment, and starts over after a calm time", () => {
    for (const [stays, expected] of [
      [999, 200],
      [1_000, 100],
    ] as const) {
      const health = new TargetHealth(1, LIMITS);
      ejectAgain(health, 0);
      health.refresh(100);
      health.began(0);
      health.succeeded(0, 100);
      expect(ejectAgain(health, 100 + stays)?.forMs).toBe(expected);
    }
  });

  test("ends at once when a connection of the last resort gets through", () => {
    const health = new TargetHealth(1, LIMITS);
    ejectAgain(health, 0);
    expect(health.succeeded(0, 10)).toMatchObject({ from: "ejected", to: "up" });
    expect(health.refresh(1_000)).toEqual([]);
  });

  test("is not prolonged by connections that began before it", () => {
    const health = new TargetHealth(1, LIMITS);
    ejectAgain(health, 0);
    for (let i = 0; i < 10; i++) expect(health.failed(0, 50)).toBeNull();
    expect(health.refresh(100).length).toBe(1);
  });
});

describe("probes", () => {
  test("win over what connections show", () => {
    const health = new TargetHealth(1, LIMITS);
    expect(health.probed(0, true, 0)).toBeNull();
    expect(health.probed(0, false, 0)).toMatchObject({ from: "up", to: "down" });
    expect(health.probed(0, false, 0)).toBeNull();
    expect([health.succeeded(0, 1), health.failed(0, 1)]).toEqual([null, null]);
    expect(health.usable[0]).toBe(0);
    expect(health.probed(0, true, 2)).toMatchObject({ from: "down", to: "up" });
    expect(health.usable[0]).toBe(1);
  });

  test("that bring an ejected target back end its ejection", () => {
    const health = new TargetHealth(1, LIMITS);
    ejectAgain(health, 0);
    expect(health.probed(0, true, 1)).toBeNull();
    health.probed(0, false, 1);
    health.probed(0, true, 2);
    expect([health.state(0), health.refresh(500)]).toEqual(["up", []]);
  });

  test("need fall failures and rise successes in a row", () => {
    const results = new ProbeResults(2, { rise: 2, fall: 3 });
    const play = (text: string): string =>
      [...text].map((letter) => (results.record(1, letter === "+") ? "!" : ".")).join("");
    expect(play("+--+---")).toBe("......!");
    expect([results.isUp(0), results.isUp(1)]).toEqual([true, false]);
    expect(play("-+-+++--+---")).toBe("....!......!");
  });
});

test("whatever happens, in any order, a target is usable exactly as its state says", () => {
  const event = fc.record({
    what: fc.constantFrom("began", "succeeded", "failed", "abandoned", "up", "down", "refresh"),
    target: fc.nat(2),
    afterMs: fc.nat(200),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), (events) => {
      const health = new TargetHealth(3, LIMITS);
      const finding = [false, false, false];
      const ejectedUntil = [0, 0, 0];
      let now = 0;
      for (const { what, target, afterMs } of events) {
        now += afterMs;
        const before = [0, 1, 2].map((each) => health.state(each));
        let changes: readonly (HealthChange | null)[] = [];
        if (what === "refresh") changes = health.refresh(now);
        else if (what === "began") {
          health.began(target);
          finding[target] = before[target] === "half_open";
        } else if (what === "abandoned") {
          health.abandoned(target);
          finding[target] = false;
        } else if (what === "up" || what === "down") {
          changes = [health.probed(target, what === "up", now)];
        } else changes = [health[what](target, now)];
        for (const change of changes) {
          if (change === null) continue;
          expect(change.from).toBe(before[change.target]!);
          expect(change.to).toBe(health.state(change.target));
          expect(change.to).not.toBe(change.from);
          finding[change.target] = false;
          if (change.to === "ejected") {
            expect(change.forMs).toBeWithin(LIMITS.firstMs, LIMITS.maxMs + 1);
            ejectedUntil[change.target] = now + change.forMs;
          }
          if (change.to === "half_open")
            expect(now).toBeGreaterThanOrEqual(ejectedUntil[change.target]!);
        }
        const changed = changes.flatMap((change) => (change === null ? [] : [change.target]));
        for (const each of [0, 1, 2]) {
          const state = health.state(each);
          if (!changed.includes(each)) expect(state).toBe(before[each]!);
          if (what === "refresh" && state === "ejected")
            expect(ejectedUntil[each]).toBeGreaterThan(now);
          const usable = state === "up" || (state === "half_open" && finding[each] === false);
          expect(health.usable[each]).toBe(usable ? 1 : 0);
        }
      }
    }),
    { numRuns: 300 },
  );
});
