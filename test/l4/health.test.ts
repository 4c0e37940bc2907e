// Health of targets over simulated time: ejection, circuits that open and close, probes, and a model that plays any sequence of
// events.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import {
  type BreakerLimits,
  EJECTS,
  type HealthChange,
  limitsOf,
  TargetHealth,
  type Ticket,
} from "../../src/l4/health.ts";
import { ProbeResults } from "../../src/l4/probe-results.ts";
import { HALF_OPEN_STALL_MS } from "../../src/shared/recovery-limits.ts";

const LIMITS: BreakerLimits = { ...EJECTS, failures: 3, firstMs: 100, maxMs: 450, calmMs: 1_000 };
const BREAKER: BreakerLimits = {
  ...LIMITS,
  errorRate: 0.5,
  minimum: 10,
  windowMs: 1_000,
  probes: 3,
  returnsAtOnce: false,
};

/** What it knows of one target. @param limits of it. */
function healthOf(limits: BreakerLimits): TargetHealth {
  const health = new TargetHealth(1);
  health.renew(0, limits, -Infinity);
  return health;
}

const fails = (health: TargetHealth, now: number): HealthChange | null =>
  health.failed(0, health.began(0, now), now);
const succeeds = (health: TargetHealth, now: number): HealthChange | null =>
  health.succeeded(0, health.began(0, now), now);

/** A target that has failed for the `round`th time in its half-open state, or for the first time. */
function ejectAgain(health: TargetHealth, now: number): HealthChange | null {
  health.refresh(now);
  if (health.state(0) === "half_open") return fails(health, now);
  fails(health, now);
  fails(health, now);
  return fails(health, now);
}

describe("ejection", () => {
  test("needs failures in a row", () => {
    const health = new TargetHealth(2);
    health.renew(0, LIMITS, -Infinity);
    const nothing = [null, null, null];
    expect([fails(health, 0), fails(health, 0), succeeds(health, 0)]).toEqual(nothing);
    expect([fails(health, 0), fails(health, 0)]).toEqual([null, null]);
    expect(fails(health, 5)).toEqual({ target: 0, from: "up", to: "ejected", forMs: 100 });
    expect([...health.usable]).toEqual([0, 1]);
    expect([health.ejectedForMs(0, 5), health.ejectedForMs(0, 104)]).toEqual([100, 1]);
    expect([health.isOpen(0), health.isOpen(1)]).toEqual([true, false]);
  });

  test("ends after its time with one connection that finds out", () => {
    const health = healthOf(LIMITS);
    ejectAgain(health, 0);
    expect(health.refresh(99)).toEqual([]);
    expect(health.refresh(100)).toEqual([
      { target: 0, from: "ejected", to: "half_open", forMs: 0 },
    ]);
    expect(health.usable[0]).toBe(1);
    const ticket = health.began(0, 100);
    expect(health.usable[0]).toBe(0);
    const up = { target: 0, from: "half_open", to: "up", forMs: 0 };
    expect(health.succeeded(0, ticket, 110)).toEqual(up as HealthChange);
    expect(health.usable[0]).toBe(1);
    expect(health.upSince[0]).toBe(110);
  });

  test("lets another connection find out when the client of the first one left", () => {
    const health = healthOf(LIMITS);
    ejectAgain(health, 0);
    health.refresh(100);
    health.abandoned(0, health.began(0, 100));
    expect([health.state(0), health.usable[0]!]).toEqual(["half_open", 1]);
  });

  test("lasts twice as long each time, up to a limit", () => {
    const health = healthOf(LIMITS);
    const lengths: number[] = [];
    for (let now = 0; lengths.length < 5; now += 450) lengths.push(ejectAgain(health, now)!.forMs);
    expect(lengths).toEqual([100, 200, 400, 450, 450]);
  });

  test("goes on growing when a target returns only for a moment, and starts over after a calm time", () => {
    for (const [stays, expected] of [
      [999, 200],
      [1_000, 100],
    ] as const) {
      const health = healthOf(LIMITS);
      ejectAgain(health, 0);
      health.refresh(100);
      succeeds(health, 100);
      expect(ejectAgain(health, 100 + stays)?.forMs).toBe(expected);
    }
  });

  test("ends at once when a connection of the last resort gets through", () => {
    const health = healthOf(LIMITS);
    ejectAgain(health, 0);
    expect(succeeds(health, 10)).toMatchObject({ from: "ejected", to: "up" });
    expect(health.refresh(1_000)).toEqual([]);
  });

  test("is not prolonged by connections that began before it", () => {
    const health = healthOf(LIMITS);
    const early = Array.from({ length: 10 }, () => health.began(0, 0));
    ejectAgain(health, 0);
    for (const ticket of early.slice(5)) expect(health.failed(0, ticket, 50)).toBeNull();
    expect(health.refresh(100).length).toBe(1);
    for (const ticket of early.slice(0, 5)) expect(health.failed(0, ticket, 110)).toBeNull();
    expect([health.state(0), health.usable[0]!]).toEqual(["half_open", 1]);
  });
});

describe("a circuit breaker", () => {
  test("opens when too many of enough failed within the window", () => {
    const health = healthOf({ ...BREAKER, failures: 0 });
    for (let i = 0; i < 8; i++) expect(i % 2 ? fails(health, i) : succeeds(health, i)).toBeNull();
    expect(succeeds(health, 8)).toBeNull();
    expect(fails(health, 9)).toMatchObject({ to: "ejected", forMs: 100 });
  });

  test("does not open for too few, nor for what is older than the window", () => {
    const health = healthOf({ ...BREAKER, failures: 0 });
    for (let i = 0; i < 9; i++) expect(fails(health, 0)).toBeNull();
    for (let i = 0; i < 9; i++) expect(fails(health, 1_000)).toBeNull();
    expect(fails(health, 1_000)).not.toBeNull();
  });

  test("lets no more than its probes find out at once, and closes when as many have succeeded", () => {
    const health = healthOf(BREAKER);
    ejectAgain(health, 0);
    health.refresh(100);
    const tickets = [health.began(0, 100), health.began(0, 100)];
    expect(health.usable[0]).toBe(1);
    tickets.push(health.began(0, 100));
    expect(health.usable[0]).toBe(0);
    expect(health.succeeded(0, tickets[0]!, 110)).toBeNull();
    expect(health.usable[0]).toBe(1);
    health.abandoned(0, tickets[1]!);
    expect(health.succeeded(0, tickets[2]!, 111)).toBeNull();
    expect(succeeds(health, 112)).toMatchObject({ from: "half_open", to: "up" });
  });

  test("lets one more find out when those who do have shown nothing for long, as slow clients do not", () => {
    const health = healthOf(BREAKER);
    ejectAgain(health, 0);
    health.refresh(100);
    const slow = [100, 101, 102].map((now) => health.began(0, now));
    health.refresh(102 + HALF_OPEN_STALL_MS - 1);
    expect(health.usable[0]).toBe(0);
    const now = 102 + HALF_OPEN_STALL_MS;
    expect(health.refresh(now)).toEqual([]);
    expect([health.state(0), health.usable[0]!]).toEqual(["half_open", 1]);
    const more = health.began(0, now);
    expect(health.usable[0]).toBe(0);
    health.abandoned(0, slow[0]!);
    expect(health.usable[0]).toBe(0); // three are under way
    // What takes long is not wrong: whoever had a place before counts as well.
    expect(health.succeeded(0, slow[1]!, now)).toBeNull();
    expect(health.succeeded(0, more, now)).toBeNull();
    expect(health.succeeded(0, slow[2]!, now)).toMatchObject({ from: "half_open", to: "up" });
  });

  test("opens again for twice as long when one of them fails, whatever the others showed", () => {
    const health = healthOf(BREAKER);
    ejectAgain(health, 0);
    health.refresh(100);
    const tickets = [health.began(0, 100), health.began(0, 100), health.began(0, 100)];
    health.succeeded(0, tickets[0]!, 110);
    expect(health.failed(0, tickets[1]!, 110)).toMatchObject({ to: "ejected", forMs: 200 });
    expect(health.succeeded(0, tickets[2]!, 111)).toBeNull();
    expect([health.state(0), health.ejectedForMs(0, 110)]).toEqual(["ejected", 200]);
  });

  test("stays open when a connection that began before gets through", () => {
    const health = healthOf(BREAKER);
    const early = health.began(0, 0);
    ejectAgain(health, 0);
    expect(health.succeeded(0, early, 50)).toBeNull();
    expect(health.state(0)).toBe("ejected");
  });

  test("gives a place back once, however often its holder says that it is over", () => {
    const health = healthOf(BREAKER);
    ejectAgain(health, 0);
    health.refresh(100);
    const [first] = [health.began(0, 100), health.began(0, 100), health.began(0, 100)];
    health.abandoned(0, first);
    health.began(0, 100);
    expect(health.usable[0]).toBe(0);
  });

  test("has its limits of the plan", () => {
    const plan = {
      failures: 7,
      errorRate: 0.25,
      minimum: 5,
      windowMs: 30,
      openMs: 40,
      maxOpenMs: 50,
      probes: 2,
      statuses: [503],
      refuses: true,
    };
    expect(limitsOf(plan)).toMatchObject({ failures: 7, firstMs: 40, maxMs: 50, probes: 2 });
    expect(limitsOf(null)).toBe(EJECTS);
  });
});

describe("probes", () => {
  test("win over what connections show", () => {
    const health = healthOf(LIMITS);
    expect(health.probed(0, true, 0)).toBeNull();
    expect(health.probed(0, false, 0)).toMatchObject({ from: "up", to: "down" });
    expect(health.probed(0, false, 0)).toBeNull();
    expect([succeeds(health, 1), fails(health, 1)]).toEqual([null, null]);
    expect(health.usable[0]).toBe(0);
    expect(health.probed(0, true, 2)).toMatchObject({ from: "down", to: "up" });
    expect(health.usable[0]).toBe(1);
  });

  test("that bring an ejected target back end its ejection", () => {
    const health = healthOf(LIMITS);
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

const TARGETS = [0, 1, 2];

/** Clients that behave as the balancer makes them, and some that go wherever they like; what they hold is known here. */
class World {
  readonly health = new TargetHealth(TARGETS.length);
  readonly under: { target: number; ticket: Ticket; since: string; place: boolean }[] = [];
  readonly ejectedUntil = TARGETS.map(() => 0);
  now = 0;
  /** Another one with each change of a target's state. */
  readonly #age = TARGETS.map(() => 0);
  /** Of half-open ones: when the last one began to find out, and how often one more was let in. */
  readonly #givenMs = TARGETS.map(() => 0);
  readonly #added = TARGETS.map(() => 0);
  readonly #isAdded = TARGETS.map(() => false);
  /** Of those that find out now: how many have succeeded. */
  readonly #passed = TARGETS.map(() => 0);
  readonly #limits: BreakerLimits;

  constructor(limits: BreakerLimits) {
    this.#limits = limits;
    for (const target of TARGETS) this.health.renew(target, limits, -Infinity);
  }

  begin(target: number, anyway: boolean): void {
    const usable = this.health.usable[target] === 1;
    if (!usable && !anyway) return;
    const place = usable && this.health.state(target) === "half_open";
    if (place) {
      this.#givenMs[target] = this.now;
      this.#isAdded[target] = false;
    }
    const since = `${this.#age[target]}`;
    this.under.push({ target, ticket: this.health.began(target, this.now), since, place });
  }

  end(which: number, how: "succeeded" | "failed" | "abandoned"): void {
    const [one] = this.under.splice(which % Math.max(1, this.under.length), 1);
    if (one === undefined) return;
    const { target, ticket, since } = one;
    const before = this.health.state(target);
    const isOfNow = since === `${this.#age[target]}`;
    if (how === "abandoned") return this.health.abandoned(target, ticket);
    const passed = this.#passed[target]!;
    this.#changed(this.health[how](target, ticket, this.now));
    const { probes, returnsAtOnce } = this.#limits;
    const findsOut = one.place && isOfNow;
    if (findsOut && how === "failed") expect(this.health.state(target)).toBe("ejected");
    else if (findsOut) {
      const isDone = passed + 1 >= probes;
      if (!isDone) this.#passed[target] = passed + 1;
      expect(this.health.state(target)).toBe(isDone ? "up" : "half_open");
    } else if (!returnsAtOnce || how === "failed") {
      // What began before the present state changes nothing, nor whoever went where nobody was to go.
      if (!isOfNow || before !== "up") expect(this.health.state(target)).toBe(before);
    }
  }

  probed(target: number, up: boolean): void {
    this.#changed(this.health.probed(target, up, this.now));
  }

  renew(target: number): void {
    this.health.renew(target, this.#limits, this.now);
    this.#newAge(target);
  }

  refresh(): void {
    for (const change of this.health.refresh(this.now)) this.#changed(change);
    for (const target of TARGETS) {
      const state = this.health.state(target);
      if (state === "ejected") expect(this.ejectedUntil[target]).toBeGreaterThan(this.now);
      const isFull = state === "half_open" && this.#finding(target) >= this.#limits.probes;
      const isStalled = this.now >= this.#givenMs[target]! + HALF_OPEN_STALL_MS;
      if (!isFull || !isStalled || this.#isAdded[target]) continue;
      this.#isAdded[target] = true;
      this.#added[target]!++;
    }
  }

  /** How many find out. */
  #finding(target: number): number {
    const since = `${this.#age[target]}`;
    return this.under.filter((one) => one.place && one.target === target && one.since === since)
      .length;
  }

  #newAge(target: number): void {
    this.#age[target]!++;
    this.#passed[target] = this.#added[target] = 0;
    this.#isAdded[target] = false;
  }

  #changed(change: HealthChange | null): void {
    if (change === null) return;
    const { target, from, to, forMs } = change;
    this.#newAge(target);
    expect(this.health.state(target)).toBe(to);
    expect(to).not.toBe(from);
    if (to === "ejected") {
      expect(forMs).toBeWithin(this.#limits.firstMs, this.#limits.maxMs + 1);
      this.ejectedUntil[target] = this.now + forMs;
    }
    if (to === "half_open") expect(this.now).toBeGreaterThanOrEqual(this.ejectedUntil[target]!);
  }

  check(): void {
    for (const target of TARGETS) {
      const state = this.health.state(target);
      const finding = this.#finding(target);
      const { probes } = this.#limits;
      const most = probes + this.#added[target]!;
      expect(finding).toBeLessThanOrEqual(state === "half_open" ? most : 0);
      const isLet = finding < probes || this.#isAdded[target]!;
      const usable = state === "up" || (state === "half_open" && isLet);
      expect(this.health.usable[target]).toBe(usable ? 1 : 0);
    }
  }
}

const events = fc.array(
  fc.record({
    what: fc.constantFrom(
      ...(["begin", "begin", "begin", "anyway", "succeeded", "failed", "failed"] as const),
      ...(["abandoned", "refresh", "refresh", "up", "down", "renew"] as const),
    ),
    target: fc.nat(TARGETS.length - 1),
    which: fc.nat(30),
    afterMs: fc.oneof({ weight: 9, arbitrary: fc.nat(200) }, fc.nat(2 * HALF_OPEN_STALL_MS)),
  }),
  { minLength: 30, maxLength: 300, size: "max" },
);

for (const [name, limits] of [
  ["without a breaker", LIMITS],
  ["with a breaker", BREAKER],
  ["with a breaker of rates alone", { ...BREAKER, failures: 0, minimum: 4 }],
] as const) {
  test(`whatever happens, in any order, no more find out than may, and all recover: ${name}`, () => {
    fc.assert(
      fc.property(events, (list) => {
        const world = new World(limits);
        for (const { what, target, which, afterMs } of list) {
          world.now += afterMs;
          if (what === "begin") world.begin(target, false);
          else if (what === "anyway") world.begin(target, true);
          else if (what === "refresh") world.refresh();
          else if (what === "up" || what === "down") world.probed(target, what === "up");
          else if (what === "renew") world.renew(target);
          else world.end(which, what);
          world.check();
        }
        // Clients leave, and the targets work from now on: without a probe of the control plane each comes back.
        while (world.under.length > 0) world.end(0, "abandoned");
        world.now += limits.maxMs;
        world.refresh();
        for (const target of TARGETS) {
          if (world.health.state(target) === "down") continue;
          for (let i = 0; i < limits.probes; i++) {
            expect(world.health.usable[target]).toBe(1);
            world.begin(target, false);
            world.end(0, "succeeded");
          }
          expect(world.health.state(target)).toBe("up");
        }
      }),
      { numRuns: 300 },
    );
  });
}
