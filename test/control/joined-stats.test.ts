// What a reload leaves of counters: those that stay go on, those that are gone are remembered within bounds.

import { expect, test } from "bun:test";

import { joinStats, rememberStats } from "../../src/control/joined-stats.ts";
import { emptyStats, type ListenerStats } from "../../src/shared/counters.ts";
import { METRICS } from "../../src/shared/metrics-limits.ts";

type Counted = Readonly<Record<string, number>>;

/** Requests by route, and connections by target; a target is `route target`. */
function statsOf(routes: Counted, targets: Counted, active = 0): ListenerStats {
  const stats = emptyStats(Object.keys(targets).length, Object.keys(routes).length);
  Object.entries(routes).forEach(([name, requests], i) => {
    Object.assign(stats.routes[i]!, { name, requests, active });
    stats.http.requests += requests;
  });
  Object.entries(targets).forEach(([key, connects], i) => {
    const [route = "", name = ""] = key.split(" ");
    Object.assign(stats.targets[i]!, { route, name, connects, active });
  });
  return stats;
}

const routesOf = ({ routes }: ListenerStats) =>
  Object.fromEntries(routes.map(({ name, requests }) => [name, requests]));
const targetsOf = ({ targets }: ListenerStats) =>
  Object.fromEntries(targets.map(({ route, name, connects }) => [`${route} ${name}`, connects]));

test("a route that stays goes on, one that is new begins, and all that was counted is in the sum", () => {
  const sum = joinStats(
    statsOf({ none: 1, a: 2, new: 4 }, {}),
    statsOf({ none: 8, a: 16, b: 32 }, {}),
  );
  expect(routesOf(sum)).toEqual({ none: 9, a: 18, new: 4 });
  expect(sum.http.requests).toBe(63);
});

test("a route and a target that are gone are told of while something is under way there", () => {
  const sum = joinStats(statsOf({ none: 0 }, {}), statsOf({ b: 1 }, { "b x": 2 }, 1));
  expect(routesOf(sum)).toEqual({ none: 0, b: 1 });
  expect(targetsOf(sum)).toEqual({ "b x": 2 });
});

test("a target is the same only on the same route", () => {
  const now = statsOf({}, { "a x": 1, "b x": 2 });
  expect(targetsOf(joinStats(now, statsOf({}, { "b x": 4, "c x": 8 })))).toEqual({
    "a x": 1,
    "b x": 6,
  });
});

test("what was there before the last reload is found again when it comes back", () => {
  const first = statsOf({ a: 1, b: 2 }, { "a x": 4, "b y": 8 });
  const second = statsOf({ a: 16 }, { "a x": 32 });
  const third = statsOf({ a: 0, b: 0 }, { "a x": 0, "b y": 0 });
  const sum = joinStats(third, rememberStats(second, first));
  expect(routesOf(sum)).toEqual({ a: 17, b: 2 });
  expect(targetsOf(sum)).toEqual({ "a x": 36, "b y": 8 });
});

test("connections that rest are not open for ever when their listener is over", () => {
  const past = rememberStats(statsOf({ a: 1 }, { "a x": 2 }, 3));
  const again = rememberStats(statsOf({ a: 1 }, { "a y": 2 }, 3), past);
  const sum = joinStats(statsOf({ a: 0 }, {}), again);
  expect([sum.routes[0]!.active, sum.targets]).toEqual([0, []]);
});

test("what is remembered is bounded, and those of long ago are forgotten first", () => {
  const names = Array.from({ length: METRICS.rememberedMax }, (_, i) => `r${i}`);
  const many = (more: string) =>
    statsOf(
      Object.fromEntries(names.map((name) => [`${more}${name}`, 1])),
      Object.fromEntries(names.map((name) => [`${more}${name} t`, 1])),
    );
  const past = rememberStats(
    statsOf({ new: 1 }, { "new t": 1 }),
    rememberStats(many("b"), many("a")),
  );
  expect(Object.keys(routesOf(past))).toEqual([
    "new",
    ...names.slice(0, -1).map((name) => `b${name}`),
  ]);
  expect(past.targets).toHaveLength(METRICS.rememberedMax);
  expect(past.http.requests).toBe(2 * METRICS.rememberedMax + 1);
});
