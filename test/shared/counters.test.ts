// Counters of several workers, added up.

import { expect, test } from "bun:test";

import {
  addCounters,
  CounterWriter,
  createCounters,
  emptyStats,
} from "../../src/shared/counters.ts";

test("what two workers counted adds up, each target apart", () => {
  const buffers = [createCounters(2), createCounters(2)];
  for (const [index, buffer] of buffers.entries()) {
    const counters = new CounterWriter(buffer);
    counters.accepted();
    counters.accepted();
    counters.connected(index);
    counters.bytesUp(index, 10);
    counters.bytesDown(index, 2 ** 40);
    counters.mirrored(7);
    counters.mirrorDropped(3);
    counters.closed(index);
    counters.connectFailed(1);
    counters.error("ECONNREFUSED");
    counters.error("ESTRANGE");
    counters.refused("target_down");
    counters.targetBecame(index, "ejected", 60_000);
    counters.ejected(1);
  }
  const sum = emptyStats(2);
  for (const buffer of buffers) addCounters(sum, buffer);
  expect(sum).toMatchObject({ total: 4, active: 2, bytesUp: 20, bytesDown: 2 ** 41 });
  expect(sum).toMatchObject({ mirrored: 14, mirrorDropped: 6 });
  expect(sum.refused.target_down).toBe(2);
  expect(sum.errors).toMatchObject({ ECONNREFUSED: 2, OTHER: 2 });
  expect(sum.targets).toMatchObject([
    { name: "", connects: 1, failures: 0, active: 0, bytesUp: 10, bytesDown: 2 ** 40 },
    { name: "", connects: 1, failures: 2, active: 0, bytesUp: 10, bytesDown: 2 ** 40 },
  ]);
  const states = { up: 1, ejected: 1, half_open: 0, down: 0 };
  expect(sum.targets.map((target) => target.states)).toEqual([states, states]);
  expect(sum.targets.map(({ ejections }) => ejections)).toEqual([0, 2]);
});

test("an ejection whose time is over counts as half open, whether anybody comes or not", () => {
  const buffer = createCounters(1);
  new CounterWriter(buffer).targetBecame(0, "ejected", 900, 100);
  const statesAt = (nowMs: number) => {
    const sum = emptyStats(1);
    addCounters(sum, buffer, nowMs);
    return sum.targets[0]!.states;
  };
  expect(statesAt(999)).toEqual({ up: 0, ejected: 1, half_open: 0, down: 0 });
  expect(statesAt(1_000)).toEqual({ up: 0, ejected: 0, half_open: 1, down: 0 });
});

test("a connection that ended before it reached a target is not open any more", () => {
  const buffer = createCounters(1);
  const counters = new CounterWriter(buffer);
  counters.accepted();
  counters.closedUnconnected();
  const sum = emptyStats(1);
  addCounters(sum, buffer);
  expect(sum).toMatchObject({ total: 1, active: 0 });
});

test("answers are counted by what they took, upgrades and clients that were gone are not", () => {
  const buffer = createCounters(0, 1);
  const counters = new CounterWriter(buffer);
  for (const tookMs of [0, 1, 1.01, 60_000, 60_001]) counters.requestEnded(0, 200, tookMs);
  counters.requestEnded(0, 101, 5_000);
  counters.requestEnded(0, 0, 5_000);
  const { http } = emptyStats(0);
  const sum = emptyStats(0, 1);
  addCounters(sum, buffer);
  expect(sum.http.totalMs).toBeCloseTo(120_003.01);
  expect(sum.http.took).toEqual({ ...http.took, 1: 2, 2.5: 1, 60_000: 1, Infinity: 1 });
  expect(sum.http.answers).toMatchObject({ "1xx": 1, "2xx": 5 });
});

test("requests are counted by route, and of a listener all together", () => {
  const buffer = createCounters(1, 2);
  const counters = new CounterWriter(buffer);
  counters.connected(0);
  for (const route of [0, 1, 1]) counters.requestBegan(route);
  counters.answeredHere(0, 404);
  counters.requestEnded(0, 404, 2);
  counters.retried(1);
  counters.requestEnded(1, 200, 3);
  const sum = emptyStats(1, 2);
  addCounters(sum, buffer);
  expect(sum.http).toMatchObject({ requests: 3, active: 1, retries: 1, totalMs: 5 });
  expect(sum.http.ownAnswers).toMatchObject({ "4xx": 1 });
  expect(sum.routes).toMatchObject([
    { requests: 1, active: 0, retries: 0, totalMs: 2, answers: { "2xx": 0, "4xx": 1 } },
    { requests: 2, active: 1, retries: 1, totalMs: 3, answers: { "2xx": 1, "4xx": 0 } },
  ]);
  expect(sum.targets[0]!.connects).toBe(1);
});
