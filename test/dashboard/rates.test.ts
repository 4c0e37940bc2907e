// What moved between two snapshots, of connections, targets and refusals.

import { describe, expect, test } from "bun:test";

import { LastMinute, ratesBetween } from "../../src/dashboard/rates.ts";
import { connectionOf, listenerOf, NOW_MS, snapshotOf, targetOf } from "./snapshots.ts";

const later = NOW_MS + 2_000;

describe("a connection's rate", () => {
  const before = snapshotOf({
    connections: { matching: 1, connections: [connectionOf({ bytesUp: 100, bytesDown: 100 })] },
  });
  const rates = ratesBetween(before, snapshotOf({ timeMs: later }));

  test("is of both ways together", () => {
    expect(rates.connection(connectionOf({ bytesUp: 300, bytesDown: 900 }))).toBe(500);
  });

  test("is all that it moved, if it began meanwhile, also under the id of one that is over", () => {
    const startedMs = NOW_MS + 500;
    expect(rates.connection(connectionOf({ id: 2, startedMs, bytesUp: 50 }))).toBe(25);
    expect(rates.connection(connectionOf({ id: 1, startedMs, bytesUp: 50 }))).toBe(25);
  });

  test("is not known of one that was not listed before", () => {
    expect(rates.connection(connectionOf({ id: 2, bytesUp: 50 }))).toBeUndefined();
  });
});

test("nothing is compared with what another process counted", () => {
  const now = snapshotOf({ timeMs: later, status: { pid: 8 } });
  expect(ratesBetween(snapshotOf(), now).target(targetOf({ bytesUp: 5 }))).toBeUndefined();
  expect(ratesBetween(null, now).target(targetOf({}))).toBeUndefined();
});

test("a target's rates are of its slot, as long as that has the same address", () => {
  const rates = ratesBetween(snapshotOf(), snapshotOf({ timeMs: later }));
  const now = { bytesUp: 10, bytesDown: 30, connects: 4, failures: 2 };
  expect(rates.target(targetOf(now))).toEqual({ bytes: 20, connects: 2, failures: 1 });
  expect(rates.target(targetOf({ ...now, name: "127.0.0.1:4000" }))).toBeUndefined();
});

describe("the last minute", () => {
  const at = (second: number, refused: Record<string, number>, pid = 7) =>
    snapshotOf({
      timeMs: NOW_MS + second * 1000,
      status: { pid },
      listeners: [listenerOf({ refused }), listenerOf({ key: "udp :53", refused: { denied: 1 } })],
    });

  test("has what was refused in it, and not before; reasons of most come first", () => {
    const minute = new LastMinute();
    minute.push(at(0, { denied: 5, target_down: 1 }));
    minute.push(at(30, { denied: 6, target_down: 9 }));
    expect(minute.refused).toBe(9);
    expect(minute.refusals).toEqual([
      { reason: "target_down", lastMinute: 8, total: 9, listeners: [["tcp :8080", 9]] },
      {
        reason: "denied",
        lastMinute: 1,
        total: 7,
        listeners: [
          ["tcp :8080", 6],
          ["udp :53", 1],
        ],
      },
    ]);
    for (let second = 31; second <= 91; second++)
      minute.push(at(second, { denied: 6, target_down: 9 }));
    expect(minute.refused).toBe(0);
  });

  test("begins anew with another process", () => {
    const minute = new LastMinute();
    minute.push(at(0, { denied: 500 }));
    minute.push(at(1, { denied: 3 }, 8));
    expect(minute.refused).toBe(0);
    minute.push(at(2, { denied: 4 }, 8));
    expect(minute.refused).toBe(1);
  });
});
