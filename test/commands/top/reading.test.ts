// What two snapshots of the stream tell together.

import { expect, test } from "bun:test";

import { quantile, readingOf } from "../../../src/commands/top/reading.ts";
import { aConnection, aSnapshot, twoSnapshots } from "./sample.ts";

test("rates are the growth of counters by the second", () => {
  const reading = readingOf(...twoSnapshots());
  const [tcp, http] = reading.listeners;
  expect(tcp).toMatchObject({
    connects: 12,
    bytesUp: 1e6,
    bytesDown: 5e7,
    refused: 3,
    requests: null,
  });
  expect(http).toMatchObject({ connects: 0, requests: 4_500 });
  expect(reading).toMatchObject({ connects: 12, bytesDown: 5e7, requests: 4_500, cpu: 1.5 });
  expect(reading.targets[0]).toMatchObject({ connects: 12, bytes: 5.1e7 });
});

test("percentiles are of the answers in between alone", () => {
  const [, http] = readingOf(...twoSnapshots()).listeners;
  // 4,000 of up to 1 ms, 480 up to 10, 15 up to 100, 5 beyond.
  expect(http!.p50Ms).toBeCloseTo(2_250 / 4_000);
  expect(http!.p99Ms).toBeCloseTo(1 + (9 * (4_455 - 4_000)) / 480);
});

test("a connection that is new since the last snapshot has moved all that it moved", () => {
  const [old, fresh] = readingOf(...twoSnapshots()).connections;
  expect(old!.bytes).toBe(5e7);
  expect(fresh!.bytes).toBe(2_048 + 1_048_576);
});

test("a connection that was among those not listed has no rate yet", () => {
  const [first, second] = twoSnapshots();
  const connections = [aConnection({ id: 99 })];
  const reading = readingOf(first, { ...second, connections: { matching: 1, connections } });
  expect(reading.connections[0]!.bytes).toBeNull();
});

test("there are no rates of one snapshot, of another process, or of a counter that began anew", () => {
  const [first, second] = twoSnapshots();
  expect(readingOf(null, second)).toMatchObject({ connects: null, requests: null, cpu: null });
  const restarted = { ...second, status: { ...second.status, pid: 4712 } };
  expect(readingOf(first, restarted)).toMatchObject({ connects: null, cpu: null });
  const { listeners, targets } = readingOf(second, aSnapshot(2));
  expect(listeners[0]).toMatchObject({ connects: null, bytesUp: null });
  expect(listeners[1]).toMatchObject({ p50Ms: null, p99Ms: null });
  expect(targets[0]).toMatchObject({ connects: null, bytes: null });
});

test("a quantile lies within its bucket by proportion, and beyond the last bound is said so", () => {
  expect(quantile([0, 0], [1], 0.5)).toBeNull();
  expect(quantile([10, 0], [2], 0.5)).toBe(1);
  expect(quantile([0, 10, 0], [1, 3], 0.5)).toBe(2);
  expect(quantile([0, 0, 1], [1, 3], 0.5)).toBe(Infinity);
});
