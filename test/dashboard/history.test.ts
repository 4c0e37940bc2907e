// Ten minutes of what snapshots told: rates of counters, bounded, with gaps where nothing is known.

import { describe, expect, test } from "bun:test";

import { History, LISTENERS_MAX, POINTS } from "../../src/dashboard/history.ts";
import { listenerOf, NOW_MS, snapshotOf } from "./snapshots.ts";

const KEY = "tcp :8080";

/** @param down bytes to clients until then. */
function at(second: number, down: number, more: Parameters<typeof listenerOf>[0] = {}) {
  const listener = listenerOf({ bytes: { up: 0, down }, ...more });
  return snapshotOf({ timeMs: NOW_MS + second * 1000, listeners: [listener] });
}

describe("a column", () => {
  test("has a second's worth of what a counter counted, and nothing for the first snapshot", () => {
    const history = new History();
    history.push(at(0, 1_000));
    history.push(at(1, 1_500));
    history.push(at(3, 3_500));
    expect(history.all.down).toEqual([null, 500, 1_000]);
    expect(history.of(KEY)!.down).toEqual([null, 500, 1_000]);
    expect(history.times).toEqual([0, 1, 3].map((second) => NOW_MS / 1000 + second));
  });

  test("has a gap where a counter began anew, and where nothing was heard", () => {
    const history = new History();
    for (const [second, down] of [
      [0, 900],
      [1, 100],
      [2, 200],
      [30, 300],
      [31, 400],
    ] as const) {
      history.push(at(second, down));
    }
    expect(history.all.down).toEqual([null, null, 100, null, null, 100]);
    expect(history.times).toHaveLength(6);
  });

  test("takes no snapshot from before the last one: the clock was set back", () => {
    const history = new History();
    history.push(at(5, 100));
    history.push(at(4, 200));
    expect(history.times).toHaveLength(1);
  });
});

test("percentiles are of the answers of the last snapshots, and not of those before", () => {
  const history = new History();
  const http = (counts: number[]) => ({
    requests: 0,
    active: 0,
    answers: { "1xx": 0, "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0 },
    unanswered: 0,
    retries: 0,
    durations: { boundsMs: [10, 100], counts, totalMs: 0 },
  });
  history.push(at(0, 0, { http: http([0, 1_000, 0]) }));
  history.push(at(1, 0, { http: http([100, 1_000, 0]) }));
  expect(history.all.p99).toEqual([null, 9.9]);
  for (let second = 2; second < 10; second++) {
    history.push(at(second, 0, { http: http([100, 1_000, 0]) }));
  }
  expect(history.all.p99.at(-1)).toBeNull();
});

test("it holds ten minutes and no more, of a hundred listeners and no more", () => {
  const history = new History();
  const listeners = Array.from({ length: LISTENERS_MAX + 20 }, (_, i) =>
    listenerOf({ key: `tcp :${i}` }),
  );
  for (let second = 0; second < POINTS + 50; second++) {
    history.push(snapshotOf({ timeMs: NOW_MS + second * 1000, listeners }));
  }
  expect(history.times).toHaveLength(POINTS);
  expect(history.all.down).toHaveLength(POINTS);
  expect(history.of("tcp :0")!.down).toHaveLength(POINTS);
  expect(history.of(`tcp :${LISTENERS_MAX}`)).toBeUndefined();
});

test("a listener that is gone is forgotten when its last point is, and makes room for another", () => {
  const history = new History();
  history.push(at(0, 0));
  for (let second = 1; second <= POINTS + 1; second++) {
    history.push(snapshotOf({ timeMs: NOW_MS + second * 1000, listeners: [] }));
    if (second === POINTS - 1) expect(history.of(KEY)!.active[0]).toBe(0);
  }
  expect(history.of(KEY)).toBeUndefined();
});

test("a listener that came later has no points from before it", () => {
  const history = new History();
  history.push(snapshotOf({ timeMs: NOW_MS, listeners: [] }));
  history.push(at(1, 10));
  history.push(at(2, 30));
  expect(history.of(KEY)!.down).toEqual([null, null, 20]);
  expect(history.all.down).toHaveLength(3);
});
