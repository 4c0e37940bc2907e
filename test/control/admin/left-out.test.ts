// Which routes /readyz and /api/status warn of, since their clients find no target.

import { expect, test } from "bun:test";

import { targetsOf } from "../../../src/control/admin/api/targets.ts";
import { leftOut } from "../../../src/control/admin/left-out.ts";

type Target = ReturnType<typeof targetsOf>[number];

const UNKNOWN = { up: 0, ejected: 0, half_open: 0, down: 0 };

function target(name: string, health: Target["health"], more: Partial<Target> = {}): Target {
  const states = { ...UNKNOWN, [health]: 2 };
  return {
    listener: "tcp :1",
    route: null,
    name,
    state: "enabled",
    health,
    states,
    ...more,
  } as Target;
}

test("one that a worker still sends clients to is enough", () => {
  const states = { ...UNKNOWN, ejected: 1, half_open: 1 };
  expect(leftOut([target("a", "down"), target("b", "ejected", { states })])).toEqual([]);
  expect(leftOut([target("a", "down"), target("b", "up")])).toEqual([]);
});

test("none is needed to know of before a worker has told of any", () => {
  expect(leftOut([target("a", "down", { states: UNKNOWN })])).toEqual([]);
});

test("listeners and routes are told of one by one, with what keeps each target out", () => {
  const targets = [
    target("a", "ejected"),
    target("b", "up", { state: "draining" }),
    target("a", "down", { listener: "http :2", route: "a.example" }),
    target("a", "up", { listener: "http :2", route: "default" }),
  ];
  expect(leftOut(targets)).toEqual([
    "no target of tcp :1 serves: a is ejected, b is draining",
    "no target of http :2, route a.example serves: a is down",
  ]);
});

test("a warning is one line, however many targets there are", () => {
  const many = Array.from({ length: 12 }, (_, i) => target(`t${i}`, "down"));
  const [line] = leftOut(many);
  expect(line).toEndWith("t4 is down, and 7 more");
});
