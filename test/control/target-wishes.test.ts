// What operators want of targets: of an address, of all addresses of a name, and over a reload.

import { expect, test } from "bun:test";

import { TargetWishes } from "../../src/control/target-wishes.ts";

const AS_CONFIGURED = { mode: "enabled", weight: 5 } as const;

test("nothing wanted is what is configured", () => {
  expect(new TargetWishes().of("web:80", "10.0.0.1:80 (web:80)", 5)).toEqual(AS_CONFIGURED);
});

test("what is wanted of a name holds for each of its addresses, and of an address for that one", () => {
  const wishes = new TargetWishes();
  wishes.add("web:80", null, { mode: "draining" });
  wishes.add("web:80", "b", { mode: "disabled", weight: 0 });
  expect(wishes.of("web:80", "a", 5)).toEqual({ mode: "draining", weight: 5 });
  expect(wishes.of("web:80", "b", 5)).toEqual({ mode: "disabled", weight: 0 });
  expect(wishes.of("other:80", "b", 5)).toEqual(AS_CONFIGURED);
});

test("what is said of a name later replaces what was said of its addresses, and only that", () => {
  const wishes = new TargetWishes();
  wishes.add("web:80", "b", { mode: "disabled", weight: 7 });
  wishes.add("web:80", null, { mode: "enabled" });
  expect(wishes.of("web:80", "b", 5)).toEqual({ mode: "enabled", weight: 7 });
  wishes.add("web:80", null, { weight: 3 });
  wishes.add("web:80", "b", { weight: null });
  expect(wishes.of("web:80", "a", 5).weight).toBe(3);
  expect(wishes.of("web:80", "b", 5).weight).toBe(5);
});

test("a reload keeps what is wanted of targets that stay, and an address that is forgotten loses it", () => {
  const before = new TargetWishes();
  before.add("web:80", null, { weight: 2 });
  before.add("web:80", "a", { mode: "draining" });
  before.add("web:80", "b", { mode: "draining" });
  before.add("gone:80", null, { mode: "disabled" });
  const after = new TargetWishes();
  after.inherit(before, new Set(["web:80"]), new Set(["a"]));
  expect(after.of("web:80", "a", 5)).toEqual({ mode: "draining", weight: 2 });
  expect(after.of("web:80", "b", 5)).toEqual({ mode: "enabled", weight: 2 });
  expect(after.of("gone:80", "gone:80", 5)).toEqual(AS_CONFIGURED);
  after.forget("web:80", "a");
  expect(after.of("web:80", "a", 5).mode).toBe("enabled");
  expect(before.of("web:80", "a", 5).mode).toBe("draining");
});

test("a list, over JSON, says all that is wanted, and replaces what was", () => {
  const before = new TargetWishes();
  before.add("web:80", null, { mode: "draining" });
  before.add("web:80", "b", { weight: 0 });
  before.add("web:80", "c", { mode: "disabled", weight: null });
  before.add("web:80", null, { weight: 3 });
  before.add("other:80", "d", { mode: "disabled" });
  before.add("other:80", null, { mode: undefined });
  const list = before.list();
  expect(JSON.parse(JSON.stringify(list))).toStrictEqual(list);
  const after = new TargetWishes();
  after.add("gone:80", null, { mode: "disabled" });
  after.replace(list);
  expect(after.list()).toEqual(list);
  for (const name of ["a", "b", "c"]) {
    expect(after.of("web:80", name, 5)).toEqual(before.of("web:80", name, 5));
  }
  expect(after.of("other:80", "d", 5).mode).toBe("disabled");
  expect(after.of("gone:80", "", 5)).toEqual(AS_CONFIGURED);
});
