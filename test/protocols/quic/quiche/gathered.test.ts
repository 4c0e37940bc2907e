// Datagrams that came as one: found again as they were sent, whatever their sizes, and never cut where none begins.

import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";

import fc from "fast-check";

import { loadBinding } from "../../../../src/protocols/quic/quiche/binding.ts";
import { QuicheDriver } from "../../../../src/protocols/quic/quiche/driver.ts";
import { Gathered } from "../../../../src/protocols/quic/quiche/gathered.ts";
import { TestHost } from "../../../support/gateway-host.ts";
import { until } from "../../../support/until.ts";
import { Link } from "../harness.ts";

const IDS = Array.from({ length: 3 }, () => randomBytes(8));
const KNOWN = new Set(IDS.map((id) => id.toString("latin1")));

function short(bytes: number, id = IDS[0]!): Buffer {
  const packet = randomBytes(bytes);
  packet[0] = 0x40 | (packet[0]! & 0x3f);
  packet.set(id, 1);
  return packet;
}

/** @param bytes at least 1200. */
function initial(bytes: number, dcid = randomBytes(8)): Buffer {
  const packet = randomBytes(bytes);
  packet.set([0xc3, 0, 0, 0, 1, 8, ...dcid, 0, 0]);
  packet.writeUInt16BE(0x4000 | (bytes - 18), 16);
  return packet;
}

function cut(gathered: Gathered, bytes: Buffer): Buffer[] {
  const size = gathered.sizeIn(bytes);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

describe("packets with a short header", () => {
  test("are found again, whatever their size and that of the last", () => {
    const gathered = new Gathered(KNOWN);
    const count = fc.integer({ min: 1, max: 44 });
    const size = fc.integer({ min: 29, max: 1_500 });
    fc.assert(
      fc.property(count, size, size, (whole, bytes, last) => {
        const packets = Array.from({ length: whole }, () => short(bytes));
        if (last < bytes) packets.push(short(last));
        expect(cut(gathered, Buffer.concat(packets))).toEqual(packets);
      }),
    );
  });

  test("are found where several connections of one sender take turns", () => {
    const order = fc.array(fc.constantFrom(...IDS), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(order, fc.integer({ min: 29, max: 1_500 }), (ids, bytes) => {
        const packets = ids.map((id) => short(bytes, id));
        // From one to the next of the first connection there are some of others.
        expect(cut(new Gathered(KNOWN), Buffer.concat(packets))).toEqual(packets);
      }),
    );
  });

  test("are found though their sender has repeated the id within them", () => {
    const packets = [short(1_000), short(1_000), short(500)];
    packets[0]!.set(IDS[0]!, 600);
    expect(cut(new Gathered(KNOWN), Buffer.concat(packets))).toEqual(packets);
  });

  test("are lost with one that has an id of nobody before them, and none but these", () => {
    const stranger = short(1_000, randomBytes(8));
    const packets = [short(1_000), stranger, short(1_000), short(1_000)];
    const pieces = cut(new Gathered(KNOWN), Buffer.concat(packets));
    expect(pieces.map(({ length }) => length)).toEqual([2_000, 2_000]);
    expect(cut(new Gathered(KNOWN), Buffer.concat([stranger, stranger]))).toHaveLength(1);
  });

  test("are not looked for further than a few places in a packet made of ids", () => {
    const bytes = Buffer.alloc(65_000);
    for (let at = 0; at + 9 <= bytes.length; at += 9) bytes.set([0, ...IDS[0]!], at);
    bytes[0] = 0x40;
    let asked = 0;
    const known = { has: (id: string) => ++asked > 0 && KNOWN.has(id) };
    expect(new Gathered(known).sizeIn(bytes)).toBe(bytes.length);
    expect(asked).toBeLessThan(100);
  });
});

describe("packets with a long header", () => {
  test("are found if they are a client's Initials, of several clients behind one address too", () => {
    const packets = [initial(1_250), initial(1_250), initial(1_200)];
    expect(cut(new Gathered(KNOWN), Buffer.concat(packets))).toEqual(packets);
  });

  test("stay together in the datagram of a client's Initial, which is larger than it", () => {
    const early = short(700);
    early[0] = 0xd0;
    early.writeUInt32BE(1, 1);
    const datagram = Buffer.concat([initial(1_200).subarray(0, 500), early]);
    datagram.writeUInt16BE(0x4000 | (500 - 18), 16);
    expect(new Gathered(KNOWN).sizeIn(datagram)).toBe(1_200);
  });
});

test("bytes of any kind are cut into pieces that are not empty, and together what they were", () => {
  const first = fc.constantFrom(0x40, 0xc0, 0xc3, 0x00);
  fc.assert(
    fc.property(first, fc.uint8Array({ minLength: 1, maxLength: 3_000 }), (form, any) => {
      const bytes = Buffer.from(any);
      bytes[0] = form;
      if (bytes.length > 9) bytes.set(IDS[0]!, 1);
      const size = new Gathered(KNOWN).sizeIn(bytes);
      expect(size).toBeGreaterThan(0);
      expect(size).toBeLessThanOrEqual(bytes.length);
    }),
  );
});

const BULK_BYTES = 2 * 1024 * 1024;

test.each([
  ["gathers", true],
  ["does not gather", false],
])("bulk arrives whole both ways where the system %s datagrams", async (_, gathers) => {
  const binding = loadBinding();
  if (binding instanceof Error) throw binding;
  const host = new TestHost();
  const gatherDatagrams = (fd: number): boolean => gathers && host.gatherDatagrams(fd);
  const { segmentsOf, setBuffers, keyLog } = host;
  const system = { segmentsOf, gatherDatagrams, setBuffers, keyLog };
  const driver = new QuicheDriver(binding, system);
  await using link = await Link.make({ client: driver, server: driver, test });
  const { client, server } = await link.streams();
  for (const [seed, from, to] of [
    [1, client, server],
    [2, server, client],
  ] as const) {
    to.received = 0;
    to.expectStream(seed);
    from.sendStream(seed, BULK_BYTES);
    await until("all of it", () => to.received === BULK_BYTES);
  }
});
