// The table of live connections: rows, ids that are not reused, and addresses as text.

import { expect, test } from "bun:test";

import fc from "fast-check";

import { formatIPv6 } from "../../src/shared/ip.ts";
import { FAMILY_IPV4, FAMILY_IPV6, LiveTable } from "../../src/shared/live-table.ts";

function openRow(table: LiveTable, row: number): void {
  table.slot[row] = 3;
  table.startedMs[row] = 1_000;
  table.setAddress(table.clients, row, FAMILY_IPV4, 5123, new Uint8Array([127, 0, 0, 1]));
  table.clearAddress(table.targets, row);
  table.open(row);
}

test("a row is read while it is open, with the address of its client", () => {
  const table = LiveTable.create(4);
  openRow(table, 2);
  table.bytesUp[2] = 7;
  expect(new LiveTable(table.buffer).read()).toEqual([
    {
      id: 2,
      slot: 3,
      client: "127.0.0.1:5123",
      target: "",
      startedMs: 1_000,
      activeMs: 0,
      bytesUp: 7,
      bytesDown: 0,
    },
  ]);
  table.close(2);
  expect(table.read()).toEqual([]);
});

test("bytes are read by the id of a connection as long as it is open", () => {
  const table = LiveTable.create(4);
  openRow(table, 2);
  const id = table.idOf(2);
  table.bytesUp[2] = 7;
  table.bytesDown[2] = 9;
  expect(table.bytesOf(id)).toEqual({ bytesUp: 7, bytesDown: 9 });
  expect(table.bytesOf(-1)).toBeNull();
  table.close(2);
  openRow(table, 2);
  expect(table.bytesOf(id)).toBeNull();
});

test("the id of a connection that is over does not name the next one in its row", () => {
  const table = LiveTable.create(4);
  openRow(table, 1);
  const first = table.idOf(1);
  table.close(1);
  expect(table.rowOf(first)).toBe(-1);
  openRow(table, 1);
  expect(table.rowOf(first)).toBe(-1);
  expect(table.rowOf(table.idOf(1))).toBe(1);
});

test("an IPv6 client is written in brackets", () => {
  const table = LiveTable.create(1);
  openRow(table, 0);
  const address = new Uint8Array(28);
  address[23] = 1;
  table.setAddress(table.clients, 0, FAMILY_IPV6, 80, address, 8);
  expect(table.addressesOf(0).client).toBe("[::1]:80");
});

test("IPv6 addresses are written as RFC 5952 says, which is what URL parsers write", () => {
  const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
  const sparse = fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(
      fc.oneof(
        bytes,
        sparse.map((list) => Uint8Array.from(list)),
      ),
      (address) => {
        const text = formatIPv6(address);
        expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`);
      },
    ),
  );
});
