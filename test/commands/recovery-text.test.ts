// What becomes of targets that fail, as `proxy check` and `proxy explain` say it.

import { expect, test } from "bun:test";

import { formatPlan } from "../../src/commands/plan-text.ts";
import { compiledPlan } from "../support/compiled-plan.ts";

const TARGETS = ["10.0.0.1:1", "10.0.0.2:1"];

/** The lines of the only listener that begin with, or are right below, one of these. */
function linesOf(listener: Readonly<Record<string, unknown>>, ...words: string[]): string[] {
  const lines = formatPlan(compiledPlan([listener])).split("\n");
  return lines.flatMap((line, i) => {
    if (!words.some((word) => line.trimStart().startsWith(word))) return [];
    const next = lines[i + 1] ?? "";
    return next.trimStart().startsWith("open for") ? [line.trim(), next.trim()] : [line.trim()];
  });
}

test("a circuit breaker and slow start are told with their defaults", () => {
  const listener = { name: "tcp", listen: ":1", targets: TARGETS };
  const given = { ...listener, circuit_breaker: {}, slow_start: "30s" };
  expect(linesOf(given, "breaker", "slow start")).toEqual([
    "breaker       opens after 5 failures in a row or 50% of at least 20 within 10s",
    "open for 10s, each time twice as long, up to 5m; closes when 3 have succeeded; while all are open clients are refused",
    "slow start    the share of a target that came back grows for 30s",
  ]);
  expect(linesOf(listener, "breaker", "slow start", "open")).toEqual([]);
});

test("those of a route stand below it, with the budget of retries", () => {
  const breaker = {
    failures: 1,
    error_rate: 0,
    open: "1m",
    max_open: "1m",
    probes: 1,
    statuses: [502, 503],
    all_open: "try",
  };
  const of = (retries: object): Readonly<Record<string, unknown>> => ({
    name: "http",
    listen: ":1",
    routes: [{ targets: TARGETS, circuit_breaker: breaker, retries }],
  });
  expect(
    linesOf(of({ on: ["connect", 503], budget: "12.5%", min_per_second: 0 }), "breaker", "tried"),
  ).toEqual([
    "breaker: opens after 1 failure",
    "open for 1m; closes when one has succeeded; 502, 503 are failures; while all are open clients are sent to them all the same",
    "tried again: twice, on no connection, 503; at most 12.5% of requests",
  ]);
  const budgets = [
    {},
    { on: [503] },
    { on: [503], budget: "0%" },
    { on: [503], budget: "off", attempts: 1 },
    { attempts: 0 },
  ];
  expect(budgets.flatMap((retries) => linesOf(of(retries), "tried"))).toEqual([
    "tried again: twice, on no connection",
    "tried again: twice, on 503; at most 20% of requests or 10 a second",
    "tried again: twice, on 503; at most 10 a second",
    "tried again: once, on 503",
    "tried again: never",
  ]);
});
