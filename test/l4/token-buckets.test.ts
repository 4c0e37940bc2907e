// Rates over simulated time: never more than the burst and the rate, never less than the rate, smooth, and exact between
// threads.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import {
  acceptRate,
  bandwidthRate,
  bucketMemory,
  type BucketRate,
  TokenBuckets,
} from "../../src/l4/token-buckets.ts";
import { race } from "../support/race.ts";
import { RACE_RATE } from "./token-buckets-race.ts";

/** A time of day in the year 2033, so that the loss of large numbers shows. */
const START = 2e12;

function bucket(rate: BucketRate): TokenBuckets {
  return new TokenBuckets(rate, new ArrayBuffer(bucketMemory(1)));
}

const anyRate = fc.record({
  perSecond: fc.integer({ min: 1, max: 1_000_000 }),
  burst: fc.integer({ min: 1, max: 10_000 }),
});

test("a full bucket gives its burst at once, and then its rate", () => {
  const buckets = bucket({ perSecond: 10, burst: 5 });
  expect(buckets.claim(0, 3, START)).toBe(3);
  expect(buckets.claim(0, 3, START)).toBe(2);
  expect(buckets.claim(0, 1, START)).toBe(0);
  expect(buckets.waitMs(0, 1, START)).toBe(100);
  expect(buckets.waitMs(0, 5, START)).toBe(500);
  expect(buckets.waitMs(0, 1_000, START)).toBe(500);
  expect(buckets.claim(0, 1, START + 99)).toBe(0);
  expect(buckets.claim(0, 9, START + 100)).toBe(1);
  expect(buckets.claim(0, 9, START + 10_000)).toBe(5);
});

test("what is given back may be taken again", () => {
  const buckets = bucket({ perSecond: 1, burst: 5 });
  expect(buckets.claim(0, 5, START)).toBe(5);
  buckets.giveBack(0, 2);
  expect(buckets.claim(0, 5, START)).toBe(2);
  buckets.giveBack(0, 100);
  expect(buckets.claim(0, 100, START)).toBe(5);
});

test("what is spent beyond the burst is paid before anything else goes", () => {
  const buckets = bucket({ perSecond: 10, burst: 5 });
  buckets.spend(0, 15, START);
  expect(buckets.claim(0, 1, START + 1_000)).toBe(0);
  expect(buckets.waitMs(0, 1, START + 1_000)).toBe(100);
  expect(buckets.claim(0, 9, START + 1_100)).toBe(1);
});

test("buckets are apart, and a reset fills one of them", () => {
  const rate = { perSecond: 1, burst: 2 };
  const buckets = new TokenBuckets(rate, new ArrayBuffer(bucketMemory(3)));
  expect([buckets.claim(0, 9, 0), buckets.claim(1, 9, 0), buckets.claim(1, 9, 0)]).toEqual([
    2, 2, 0,
  ]);
  buckets.reset(1);
  expect([0, 1, 2].map((each) => buckets.claim(each, 9, 0))).toEqual([0, 2, 2]);
});

test("a clock that is behind takes nothing away and gives nothing", () => {
  const buckets = bucket({ perSecond: 1_000, burst: 10 });
  buckets.claim(0, 10, START);
  expect(buckets.claim(0, 1, START - 5_000)).toBe(0);
  expect(buckets.claim(0, 9, START + 3)).toBe(3);
});

test("in no window goes more than the burst and the rate", () => {
  const step = fc.tuple(fc.double({ min: 0, max: 50, noNaN: true }), fc.nat(1_000));
  fc.assert(
    fc.property(anyRate, fc.array(step, { maxLength: 100 }), (rate, steps) => {
      const buckets = bucket(rate);
      const grants: { at: number; units: number }[] = [];
      let now = START;
      for (const [afterMs, wanted] of steps) {
        now += afterMs;
        grants.push({ at: now, units: buckets.claim(0, wanted, now) });
      }
      for (let first = 0; first < grants.length; first++) {
        let sum = 0;
        for (let last = first; last < grants.length; last++) {
          sum += grants[last]!.units;
          const seconds = (grants[last]!.at - grants[first]!.at) / 1_000;
          expect(sum).toBeLessThanOrEqual(rate.burst + rate.perSecond * seconds + 1e-3);
        }
      }
    }),
  );
});

test("whoever asks as often as told gets the whole rate", () => {
  fc.assert(
    fc.property(anyRate, fc.integer({ min: 1, max: 100 }), (rate, quantum) => {
      const buckets = bucket(rate);
      let now = START;
      let got = buckets.claim(0, rate.burst, now);
      for (let i = 0; i < 200; i++) {
        const wait = buckets.waitMs(0, quantum, now);
        expect(wait).toBeLessThanOrEqual(
          (Math.min(quantum, rate.burst) * 1_000) / rate.perSecond + 1e-3,
        );
        now += Math.max(1, Math.ceil(wait)); // the engines' timers
        const granted = buckets.claim(0, 1e9, now);
        expect(granted).toBeGreaterThanOrEqual(Math.min(quantum, rate.burst));
        got += granted;
      }
      const seconds = (now - START) / 1_000;
      const most = rate.burst + rate.perSecond * seconds;
      expect(got).toBeLessThanOrEqual(most + 1e-3);
      // A bucket that is full before its owner comes back overflows: that was not asked for often enough.
      if ((rate.burst * 1_000) / rate.perSecond > 2 + (quantum * 1_000) / rate.perSecond) {
        expect(got).toBeGreaterThan(most - quantum - 2);
      }
    }),
  );
});

describe("the rates of the configuration", () => {
  test("bytes: any second is within 10 % of the rate, and none is lost", () => {
    for (const perSecond of [20_000, 1_000_000, 104_857_600, 2_000_000_000]) {
      const buckets = bucket(bandwidthRate(perSecond));
      const sent: number[] = [];
      let now = START;
      // Bytes in each millisecond, of a sender that is always ready and woken up to 20 ms late.
      for (let i = 0; sent.length < 10_000; i++) {
        const late = (i * 7) % 20;
        const wait = Math.max(1, Math.ceil(buckets.waitMs(0, 1_460, now))) + late;
        for (let ms = 1; ms < wait; ms++) sent.push(0);
        now += wait;
        let granted = 0;
        for (let chunk = 65_536; chunk === 65_536; granted += chunk)
          chunk = buckets.claim(0, chunk, now);
        sent.push(granted);
      }
      const sum = (from: number, to: number): number =>
        sent.slice(from, to).reduce((total, bytes) => total + bytes, 0);
      for (let from = 0; from < 9_000; from += 50) {
        expect(sum(from, from + 1_000) / perSecond).toBeWithin(0.9, 1.1 + 1e-9);
      }
      expect(sum(0, 10_000) / (10 * perSecond)).toBeWithin(0.99, 1.01 + 1e-9);
    }
  });

  test("bytes: small messages are counted as exactly as large ones", () => {
    const buckets = bucket(bandwidthRate(104_857_600));
    let got = 0;
    for (let i = 0; i < 1_000_000; i++) got += buckets.claim(0, 1, START + i * 1e-6);
    expect(got).toBe(1_000_000);
    expect(buckets.claim(0, 1e9, START + 1)).toBe(Math.floor(10_485_760 - 1_000_000 + 104_857.6));
  });

  test("connections: a second's worth may come together", () => {
    const buckets = bucket(acceptRate(1_000));
    let got = 0;
    for (let i = 0; i < 1_500; i++) got += buckets.claim(0, 1, START);
    expect(got).toBe(1_000);
    expect(bucket(acceptRate(1)).claim(0, 5, START)).toBe(1);
  });
});

test("threads that take from one bucket get together exactly what is in it", async () => {
  const memory = new SharedArrayBuffer(bucketMemory(1));
  const got = await race(import.meta.resolve("./token-buckets-race.ts"), memory, 4);
  expect(got.reduce((sum, each) => sum + each, 0)).toBe(RACE_RATE.burst);
});
