// Live connections in shared memory: found by what is asked, and the busiest of many without sorting them all.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { BusiestConnections, LiveConnections } from "../../src/control/live-connections.ts";
import { Largest } from "../../src/shared/largest.ts";
import { FAMILY_IPV4, LiveTable } from "../../src/shared/live-table.ts";

/** Two workers; of each, row i is client 10.0.WORKER.i of listener i % 2. */
function setUp(rows: number) {
  const tables = [LiveTable.create(64), LiveTable.create(64)];
  for (const [worker, table] of tables.entries()) {
    for (let row = 0; row < rows; row++) {
      table.slot[row] = row % 2;
      table.bytesUp[row] = table.bytesDown[row] = 0;
      const client = Uint8Array.of(10, 0, worker, row);
      table.setAddress(table.clients, row, FAMILY_IPV4, 1_000 + row, client);
      table.setAddress(table.targets, row, FAMILY_IPV4, 80, Uint8Array.of(10, 1, 1, row % 3));
      table.open(row);
    }
  }
  const holders = tables.map((live, index) => ({ live, index }));
  const live = new LiveConnections(
    () => holders,
    (slot) => `tcp :${slot}`,
  );
  return { live, tables };
}

describe("connections are found", () => {
  test("by listener, worker, client, target and id, up to a limit that does not change their number", () => {
    const { live, tables } = setUp(6);
    const clients = (filter: Parameters<LiveConnections["find"]>[0], limit = 99) => {
      const { matching, connections } = live.find(filter, limit);
      return [matching, ...connections.map(({ client }) => client)];
    };
    expect(live.count()).toBe(12);
    expect(clients({}, 1)).toEqual([12, "10.0.0.0:1000"]);
    expect(clients({ listener: "tcp :1", worker: 1 })).toEqual([
      3,
      "10.0.1.1:1001",
      "10.0.1.3:1003",
      "10.0.1.5:1005",
    ]);
    expect(clients({ client: "10.0.1.", target: "10.1.1.2:" })).toEqual([
      2,
      "10.0.1.2:1002",
      "10.0.1.5:1005",
    ]);
    expect(clients({ listener: "tcp :2" })).toEqual([0]);
    const id = tables[1]!.idOf(4);
    expect(clients({ worker: 1, id })).toEqual([1, "10.0.1.4:1004"]);
    expect(clients({ id })).toEqual([0]);
    tables[1]!.close(4);
    expect(clients({ worker: 1, id })).toEqual([0]);
    expect(live.count()).toBe(11);
  });
});

describe("the busiest", () => {
  test("are those that moved most since the look before, and rows that changed hands begin anew", () => {
    const { live, tables } = setUp(3);
    const busiest = new BusiestConnections(live);
    const move = (worker: number, row: number, bytes: number): void => {
      tables[worker]!.bytesDown[row]! += bytes;
    };
    const look = () => {
      const { matching, connections } = busiest.look(2);
      return [matching, ...connections.map(({ worker, client }) => `${worker} ${client}`)];
    };
    move(0, 1, 1_000);
    move(1, 2, 900);
    expect(look()).toEqual([6, "0 10.0.0.1:1001", "1 10.0.1.2:1002"]);
    move(1, 0, 5);
    move(0, 2, 9);
    expect(look()).toEqual([6, "0 10.0.0.2:1002", "1 10.0.1.0:1000"]);
    tables[0]!.close(1);
    tables[0]!.bytesDown[1] = 7;
    tables[0]!.open(1);
    move(1, 1, 6);
    expect(look()).toEqual([6, "0 10.0.0.1:1001", "1 10.0.1.1:1001"]);
    tables[0]!.close(1);
    expect(look()[0]).toBe(5);
  });

  test("are as many as there are, however the table grows", () => {
    const { live, tables } = setUp(1);
    const busiest = new BusiestConnections(live);
    expect(busiest.look(9).connections).toHaveLength(2);
    for (let row = 1; row < 64; row++) tables[0]!.open(row);
    expect(busiest.look(9)).toMatchObject({ matching: 65, connections: { length: 9 } });
  });
});

test("the largest are those that sorting would find", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50)), fc.integer({ min: 0, max: 20 }), (values, most) => {
      const largest = new Largest(most);
      values.forEach((value, row) => largest.offer(value, 0, row));
      const sorted = values.toSorted((a, b) => b - a).slice(0, most);
      expect(largest.take().map(({ value }) => value)).toEqual(sorted);
    }),
  );
});
