// What a worker that is gone leaves counted is counted out, once, and nothing of others.

import { expect, test } from "bun:test";

import { Admissions } from "../../src/control/admissions.ts";
import { ClientCounts } from "../../src/l4/client-counts.ts";
import { parseIp } from "../../src/shared/ip.ts";
import { LiveTable } from "../../src/shared/live-table.ts";
import { listenerPlan } from "../support/plan.ts";

const LIMITED = { target: "127.0.0.1:1", maxConnections: 10, maxPerIp: 5, acceptRate: 100 };
const IP = parseIp("192.0.2.1")!;

test("the memory is there for what is limited", () => {
  const none = new Admissions(listenerPlan({ target: "127.0.0.1:1" }));
  expect([none.clients, none.accepts]).toEqual([null, null]);
  const all = new Admissions(listenerPlan(LIMITED));
  expect([all.clients, all.accepts]).not.toContain(null);
});

test("connections of a worker that is gone are counted out of their listener, once", () => {
  const admissions = new Admissions(listenerPlan(LIMITED));
  const counts = new ClientCounts(admissions.clients!);
  const live = LiveTable.create(4);
  const open = (row: number, slot: number, counted: boolean): void => {
    live.slot[row] = slot;
    live.setClientIp(row, IP, 1_000 + row);
    live.setCounted(row, counted);
    live.open(row);
    if (counted) counts.enter(IP, 5);
  };
  open(0, 7, true);
  open(1, 7, false); // it is not known yet who it is
  open(2, 8, true); // of another listener
  open(3, 7, true);
  live.close(3); // over, and counted out by the worker itself
  counts.leave(IP);
  expect(counts.count(IP)).toBe(2);
  admissions.retire(live, 7);
  expect(counts.count(IP)).toBe(1);
  admissions.retire(live, 7);
  expect(counts.count(IP)).toBe(1);
});
