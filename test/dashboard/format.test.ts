// Numbers as the dashboard writes them.

import { expect, test } from "bun:test";

import { age, bits, bytes, perSecond, plain, several, took } from "../../src/dashboard/format.ts";

test("rates and sizes have three digits and a unit, also where rounding goes to the next one", () => {
  expect([0, 10, 124.9, 125, 1_540, 12_345_678, 124_990_000].map(bits)).toEqual([
    "0 bit/s",
    "80 bit/s",
    "999 bit/s",
    "1.00 kbit/s",
    "12.3 kbit/s",
    "98.8 Mbit/s",
    "1.00 Gbit/s",
  ]);
  expect([0, 999, 1_000, 999_600, 5.5e15].map(bytes)).toEqual([
    "0 B",
    "999 B",
    "1.00 kB",
    "1.00 MB",
    "5.50 PB",
  ]);
});

test("an axis has no digits that say nothing", () => {
  expect([0, 5, 1_000, 1_500, 200_000, 1_250_000].map(plain)).toEqual([
    "0",
    "5",
    "1k",
    "1.5k",
    "200k",
    "1.25M",
  ]);
});

test("rare events keep a digit, frequent ones have none", () => {
  expect([0, 0.25, 9.94, 9.96, 12_345.6].map(perSecond)).toEqual([
    "0",
    "0.3",
    "9.9",
    "10",
    "12,346",
  ]);
});

test("times", () => {
  expect([0.4, 9.96, 250, 1_500, 12_000].map(took)).toEqual([
    "0.4 ms",
    "10 ms",
    "250 ms",
    "1.5 s",
    "12 s",
  ]);
  expect([-1, 59.9, 60, 3_600, 12_000, 86_400, 100_000].map(age)).toEqual([
    "0 s",
    "59 s",
    "1 min",
    "1 h",
    "3 h 20 min",
    "1 d",
    "1 d 3 h",
  ]);
});

test("one has no plural", () => {
  expect([several(1, "day"), several(2_000, "day")]).toEqual(["1 day", "2,000 days"]);
});
