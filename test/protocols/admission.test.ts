// Who may enter a listener of streams, and what is counted of them.

import { expect, test } from "bun:test";

import { Admission, type Visit } from "../../src/protocols/admission.ts";
import type { Peer } from "../../src/protocols/live-rows.ts";
import { IP_BYTES, parseIp } from "../../src/shared/ip.ts";
import { statsOf, TestHost, testRequest } from "../support/gateway-host.ts";

const FD = 9;

function client(ip: string, port = 1_234): Peer {
  return { ip: parseIp(ip)!, port };
}

test("a client that is let in has a row until it leaves", () => {
  const host = new TestHost();
  const request = testRequest();
  const admission = new Admission(host, request);
  const visit = admission.enter(client("192.0.2.7"), FD)!;
  expect(host.rows.count).toBe(1);
  expect(admission.visits).toBe(1);
  const [row] = host.rows.table.read();
  expect(row).toMatchObject({ slot: 3, client: "192.0.2.7:1234", target: "" });
  admission.connected(visit, 0, client("10.0.0.1", 80));
  expect(host.rows.table.read()[0]!.target).toBe("10.0.0.1:80");
  expect(statsOf(request)).toMatchObject({ total: 1, active: 1 });
  expect(statsOf(request).targets[0]).toMatchObject({ connects: 1, active: 1 });
  admission.leave(visit, 0, "end");
  expect(host.rows.count).toBe(0);
  expect(admission.visits).toBe(0);
  expect(statsOf(request)).toMatchObject({ total: 1, active: 0 });
  expect(statsOf(request).targets[0]).toMatchObject({ connects: 1, active: 0 });
  expect(new Int32Array(request.active)[0]).toBe(0);
  expect(host.closes).toEqual(["end"]);
});

test("a client that leaves before it has a target counts for none, and its error is counted", () => {
  const host = new TestHost();
  const request = testRequest();
  const admission = new Admission(host, request);
  admission.leave(admission.enter(client("192.0.2.7"), FD)!, -1, "ECONNRESET");
  expect(statsOf(request)).toMatchObject({ total: 1, active: 0 });
  expect(statsOf(request).errors.ECONNRESET).toBe(1);
  expect(statsOf(request).targets[0]!.active).toBe(0);
});

test("who is denied, or not allowed, is turned away with nothing kept of it", () => {
  const host = new TestHost();
  const access = { allow: ["192.0.2.0/24"], deny: ["192.0.2.66"] };
  const request = testRequest({ access });
  const admission = new Admission(host, request);
  expect(admission.enter(client("192.0.2.66"), FD)).toBeNull();
  expect(admission.enter(client("198.51.100.1"), FD)).toBeNull();
  expect(admission.enter(client("192.0.2.1"), FD)).not.toBeNull();
  expect(host.rows.count).toBe(1);
  expect(statsOf(request).refused.denied).toBe(2);
  expect(host.refusals[0]).toEqual({ reason: "denied", detail: "192.0.2.66" });
});

test("max_connections is over all workers, and a place that is left is taken again", () => {
  const request = testRequest({ maxConnections: 2 });
  const [one, two] = [new TestHost(), new TestHost()].map((host) => new Admission(host, request));
  const first = one!.enter(client("192.0.2.1"), FD)!;
  expect(two!.enter(client("192.0.2.1"), FD)).not.toBeNull();
  expect(two!.enter(client("192.0.2.1"), FD)).toBeNull();
  expect(statsOf(request).refused.max_connections).toBe(1);
  one!.leave(first, -1, "end");
  expect(two!.enter(client("192.0.2.1"), FD)).not.toBeNull();
});

test("max_per_ip counts each address for itself, and counts who leaves out", () => {
  const host = new TestHost();
  const request = testRequest({ maxPerIp: 1 });
  const admission = new Admission(host, request);
  const first = admission.enter(client("192.0.2.1"), FD)!;
  expect(admission.enter(client("192.0.2.1"), FD)).toBeNull();
  expect(admission.enter(client("192.0.2.2"), FD)).not.toBeNull();
  expect(statsOf(request).refused.max_per_ip).toBe(1);
  expect(new Int32Array(request.active)[0]).toBe(2);
  expect(host.rows.table.isCounted(first.row)).toBe(true);
  admission.leave(first, -1, "end");
  expect(admission.enter(client("192.0.2.1"), FD)).not.toBeNull();
});

test("accept_rate lets a second's worth in, and more as time goes on", () => {
  const host = new TestHost();
  const request = testRequest({ acceptRate: 2 });
  const admission = new Admission(host, request);
  const enter = (): Visit | null => admission.enter(client("192.0.2.1"), FD);
  expect([enter(), enter(), enter()].map((visit) => visit !== null)).toEqual([true, true, false]);
  host.nowMs += 500;
  expect(enter()).not.toBeNull();
  expect(statsOf(request).refused.accept_rate).toBe(1);
});

test("a full table and the last descriptors turn clients away", () => {
  const host = new TestHost(1);
  const request = testRequest();
  const admission = new Admission(host, request);
  host.fdMax = FD;
  expect(admission.enter(client("192.0.2.1"), FD)).toBeNull();
  host.fdMax = FD + 1;
  expect(admission.enter(client("192.0.2.1"), FD)).not.toBeNull();
  expect(admission.enter(client("192.0.2.1"), FD)).toBeNull();
  expect(statsOf(request).refused.table_full).toBe(2);
});

test("clients of a unix socket are not asked for an address", () => {
  const host = new TestHost();
  const request = testRequest({
    listen: "unix:/tmp/x.sock",
    maxPerIp: 1,
    access: { allow: ["192.0.2.1"] },
  });
  const admission = new Admission(host, request);
  const nobody = { ip: new Uint8Array(IP_BYTES), port: 0 };
  expect(admission.enter(nobody, FD)).not.toBeNull();
  expect(admission.enter(nobody, FD)).not.toBeNull();
  expect(host.rows.table.read()[0]!.client).toBe("unix:");
});

test("disconnecting resets whoever has the visit", () => {
  const host = new TestHost();
  const admission = new Admission(host, testRequest());
  const visit = admission.enter(client("192.0.2.1"), FD)!;
  let resets = 0;
  visit.resident = { targetSlot: -1, reset: () => void resets++ };
  host.rows.reset(host.rows.table.read()[0]!.id);
  expect(resets).toBe(1);
});
