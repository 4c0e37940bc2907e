// Packets without keys: what is read of any bytes, and what is written for strangers.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import {
  INITIAL_MIN_BYTES,
  parseLongHeader,
  readVarint,
  RESET_MIN_BYTES,
  writeStatelessReset,
  writeVersionNegotiation,
} from "../../../../src/protocols/quic/quiche/packets.ts";

const bytes = (max: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength: max });

describe("long headers", () => {
  test("parts of an Initial are found, and lie within it", () => {
    const cid = fc.uint8Array({ maxLength: 20 });
    fc.assert(
      fc.property(cid, cid, bytes(60), bytes(40), (dcid, scid, token, rest) => {
        const packet = new Uint8Array([
          0xc3,
          0,
          0,
          0,
          1,
          dcid.length,
          ...dcid,
          scid.length,
          ...scid,
          token.length,
          ...token,
          ...rest,
        ]);
        const header = parseLongHeader(packet)!;
        expect([header.type, header.version]).toEqual([0, 1]);
        expect([header.dcid, header.scid, header.token]).toEqual([dcid, scid, token]);
        expect(header.lengthAt).toBe(packet.length - rest.length);
      }),
    );
  });

  test("no bytes are read beyond their end", () => {
    const head = fc.constantFrom(
      [0xc0, 0, 0, 0, 1],
      [0xff, 9, 9, 9, 9],
      [0xc0, 0, 0, 0, 0],
      [0x40],
    );
    fc.assert(
      fc.property(head, bytes(100), (begin, rest) => {
        const packet = new Uint8Array([...begin, ...rest]);
        const header = parseLongHeader(packet);
        if (header === null) return;
        const end = header.token.byteOffset + header.token.length;
        expect(header.scid.byteOffset + header.scid.length).toBeLessThanOrEqual(packet.length);
        if (header.lengthAt >= 0) expect(end).toBeLessThanOrEqual(packet.length);
      }),
    );
  });

  test("ids of version 1 have 20 bytes at most, those of others more", () => {
    const packet = (version: number): Uint8Array =>
      new Uint8Array([0xc0, 0, 0, 0, version, 21, ...new Uint8Array(21), 0, 0, 0, 0]);
    expect(parseLongHeader(packet(1))).toBeNull();
    expect(parseLongHeader(packet(2))!.dcid).toHaveLength(21);
  });
});

test("numbers of all four lengths are read (RFC 9000 appendix A.1)", () => {
  const examples: [string, number][] = [
    ["9d7f3e7d", 494_878_333],
    ["7bbd", 15_293],
    ["25", 37],
    ["4025", 37],
    ["c000000000000400", 1_024],
  ];
  for (const [hex, value] of examples) {
    const read = readVarint(Buffer.from(hex, "hex"), 0);
    expect(read).toEqual({ value, end: hex.length / 2 });
    expect(readVarint(Buffer.from(hex, "hex").subarray(0, -1), 0)).toBeNull();
  }
  // Beyond what a number holds exactly.
  expect(readVarint(Buffer.from("c2197c5eff14e88c", "hex"), 0)).not.toEqual({ value: 0, end: 8 });
  expect(readVarint(Buffer.from("ffffffffffffffff", "hex"), 0)).toBeNull();
});

test("version negotiation swaps the ids, and is smaller than what it answers", () => {
  fc.assert(
    fc.property(bytes(255), bytes(255), fc.nat(255), (dcid, scid, chance) => {
      const packet = writeVersionNegotiation({ dcid, scid }, chance);
      const header = parseLongHeader(packet)!;
      expect([header.version, header.dcid, header.scid]).toEqual([0, scid, dcid]);
      expect(packet.length).toBeLessThan(INITIAL_MIN_BYTES);
    }),
  );
});

test("a stateless reset looks like a short packet, ends with its token, and is shorter than what it answers", () => {
  const token = new Uint8Array(16).fill(7);
  fc.assert(
    fc.property(fc.nat(1_500), (received) => {
      const reset = writeStatelessReset(received, token, new Uint8Array(43).fill(0xff));
      if (received <= RESET_MIN_BYTES) return expect(reset).toBeNull();
      expect(reset!.length).toBeLessThan(received);
      expect(reset![0]! & 0xc0).toBe(0x40);
      expect(reset!.slice(-16)).toEqual(token);
    }),
  );
});
