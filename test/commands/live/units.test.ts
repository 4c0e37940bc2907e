// Amounts as people glance at them.

import { expect, test } from "bun:test";

import { amount, latency, megabits, rate, span } from "../../../src/commands/live/units.ts";

test("amounts have three digits or so", () => {
  expect([0, 812, 999, 1_000, 1_240, 9_960, 35_000, 999_600, 1_800_000].map(amount)).toEqual([
    "0",
    "812",
    "999",
    "1k",
    "1.2k",
    "10k",
    "35k",
    "1M",
    "1.8M",
  ]);
});

test("rates below ten have a decimal", () => {
  expect([0, 0.04, 0.4, 2, 9.94, 12.4, 4_500].map(rate)).toEqual([
    "0",
    "0",
    "0.4",
    "2",
    "9.9",
    "12",
    "4.5k",
  ]);
});

test("bytes a second become megabits", () => {
  expect([0, 100, 5_000, 125_000, 1_250_000, 6_250_000, 125_000_000].map(megabits)).toEqual([
    "0",
    "0",
    "0.04",
    "1",
    "10",
    "50",
    "1000",
  ]);
});

test("spans have their two largest units", () => {
  const seconds = [0, 59, 60, 725, 3_600, 93_600, 86_405];
  expect(seconds.map((each) => span(each * 1_000))).toEqual([
    "0s",
    "59s",
    "1m",
    "12m 5s",
    "1h",
    "1d 2h",
    "1d",
  ]);
  expect(span(-5)).toBe("0s");
});

test("latencies are in milliseconds up to a second", () => {
  expect([0.62, 9.5, 12.4, 999, 1_500].map(latency)).toEqual([
    "0.6ms",
    "9.5ms",
    "12ms",
    "999ms",
    "1.5s",
  ]);
});
