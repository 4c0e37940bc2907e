// The hello in Initial packets, as clients cut it: whole, in pieces, in any order, and over several packets. Packets are sealed
// here as RFC 9001 section 5 says, by code that shares nothing with what opens them.

import { describe, expect, test } from "bun:test";
import { createCipheriv, createHmac } from "node:crypto";

import fc from "fast-check";

import { HelloCollector } from "../../../../src/protocols/quic/quiche/initial.ts";
import { parseLongHeader } from "../../../../src/protocols/quic/quiche/packets.ts";
import { FIRST_BYTES, QUICHE } from "../../../../src/shared/limits.ts";

const DCID = Buffer.from("8394c8f03e515708", "hex");
/** RFC 9001 appendix A.1. */
const KEY = Buffer.from("1f369613dd76d5467730efcbe3b1a22d", "hex");
const IV = Buffer.from("fa044b2f42a3fd3b46fb255c", "hex");
const HP = Buffer.from("9f50449e04a0e810283a1e9933adedd2", "hex");

/** An Initial with a packet number of two bytes. */
function seal(frames: Uint8Array, number = 0, key = KEY): Buffer {
  const body = Buffer.concat([frames, Buffer.alloc(Math.max(0, 1_150 - frames.length))]);
  const length = 2 + body.length + 16;
  const header = Buffer.from([
    0xc1,
    0,
    0,
    0,
    1,
    DCID.length,
    ...DCID,
    0,
    0,
    0x40 | (length >> 8),
    length & 0xff,
    number >> 8,
    number & 0xff,
  ]);
  const nonce = Buffer.from(IV);
  nonce[10]! ^= number >> 8;
  nonce[11]! ^= number & 0xff;
  const cipher = createCipheriv("aes-128-gcm", key, nonce).setAAD(header);
  const sealed = Buffer.concat([cipher.update(body), cipher.final(), cipher.getAuthTag()]);
  const mask = createCipheriv("aes-128-ecb", HP, null).update(sealed.subarray(2, 18));
  header[0]! ^= mask[0]! & 0x0f;
  header[header.length - 2]! ^= mask[1]!;
  header[header.length - 1]! ^= mask[2]!;
  return Buffer.concat([header, sealed]);
}

const varint = (value: number): number[] => [0x40 | (value >> 8), value & 0xff];

function crypto(message: Uint8Array, start: number, end: number): Buffer {
  const head = [0x06, ...varint(start), ...varint(end - start)];
  return Buffer.concat([Buffer.from(head), message.subarray(start, end)]);
}

/** With a key share as large as is asked for. */
function hello(name: string, shareBytes: number): Buffer {
  const host = Buffer.from(name);
  const sni = [0, host.length + 3, 0, 0, host.length, ...host];
  const alpn = [0, 3, 2, ...Buffer.from("h3")];
  const extension = (type: number, data: Uint8Array | number[]): number[] => [
    type >> 8,
    type & 0xff,
    data.length >> 8,
    data.length & 0xff,
    ...data,
  ];
  const share = extension(51, new Uint8Array(shareBytes).fill(3));
  const extensions = [...share, ...extension(0, sni), ...extension(16, alpn)];
  const body = [
    3,
    3,
    ...new Uint8Array(32),
    0,
    0,
    2,
    0x13,
    0x01,
    1,
    0,
    extensions.length >> 8,
    extensions.length & 0xff,
    ...extensions,
  ];
  return Buffer.from([1, 0, body.length >> 8, body.length & 0xff, ...body]);
}

function open(collector: HelloCollector, packet: Buffer): unknown {
  const copy = Buffer.from(packet);
  const outcome = collector.add(packet, parseLongHeader(packet)!);
  expect(packet.equals(copy)).toBe(true); // quiche reads it next
  return outcome.type === "hello" ? outcome.hello : outcome.type;
}

const READ = { sni: "example.com", alpn: ["h3"] };

describe("a hello", () => {
  test("in one packet is read, with packet numbers of any value", () => {
    for (const number of [0, 1, 300, 65_535]) {
      const message = hello("Example.COM", 32);
      const packet = seal(crypto(message, 0, message.length), number);
      expect(open(new HelloCollector(DCID), packet)).toEqual(READ);
    }
  });

  test("over two packets is whole with the second, in either order", () => {
    const message = hello("example.com", 1_216);
    const packets = [
      seal(crypto(message, 0, 1_100), 0),
      seal(crypto(message, 1_100, message.length), 1),
    ];
    for (const [first, second] of [packets, packets.toReversed()]) {
      const collector = new HelloCollector(DCID);
      expect(open(collector, first!)).toBe("more");
      expect(open(collector, second!)).toEqual(READ);
    }
  });

  test("in pieces of any size and order, with other frames between, is read once all are there", () => {
    const message = hello("example.com", 700);
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: message.length - 1 }), { maxLength: 30 });
    fc.assert(
      fc.property(cuts, fc.infiniteStream(fc.double({ noNaN: true })), (places, chance) => {
        const ends = [...places.toSorted((a, b) => a - b), message.length];
        const pieces = ends.map((end, i) => crypto(message, ends[i - 1] ?? 0, end));
        const order = pieces
          .map((piece) => ({ piece, at: chance.next().value as number }))
          .toSorted((a, b) => a.at - b.at)
          .map(({ piece }) => piece);
        const ping = Buffer.from([1, 0, 0]);
        const ack = Buffer.from([2, 5, 0, 1, 0, 0, 0]);
        const collector = new HelloCollector(DCID);
        const last = order.pop()!;
        const first = seal(Buffer.concat([ack, ...order.flatMap((piece) => [piece, ping])]));
        const whole = order.length === 0 ? [] : [open(collector, first)];
        expect(whole).toEqual(order.length === 0 ? [] : ["more"]);
        expect(open(collector, seal(last, 1))).toEqual(READ);
      }),
    );
  });

  test("that is sent again, in part or whole, changes nothing", () => {
    const message = hello("example.com", 600);
    const collector = new HelloCollector(DCID);
    expect(open(collector, seal(crypto(message, 0, 400)))).toBe("more");
    expect(open(collector, seal(crypto(message, 0, 400), 1))).toBe("more");
    expect(open(collector, seal(crypto(message, 200, message.length), 2))).toEqual(READ);
  });

  test("in more pieces than anybody makes of it is none", () => {
    const message = hello("example.com", 700);
    const pieces = Array.from({ length: QUICHE.helloPartsMax + 1 }, (_, i) =>
      crypto(message, 2 * i, 2 * i + 1),
    );
    const few = new HelloCollector(DCID);
    expect(open(few, seal(Buffer.concat(pieces.slice(1))))).toBe("more");
    expect(open(few, seal(pieces[0]!, 1))).toBe("invalid");
  });

  test("beyond the longest that is read is none", () => {
    const at = FIRST_BYTES.clientHelloMaxBytes - 10;
    const frame = [0x06, 0x80, 0, at >> 8, at & 0xff, 11, ...new Uint8Array(11)];
    expect(open(new HelloCollector(DCID), seal(Buffer.from(frame)))).toBe("invalid");
  });
});

describe("a packet", () => {
  test("that is sealed with other keys is none", () => {
    const message = hello("example.com", 32);
    const packet = seal(crypto(message, 0, message.length), 0, Buffer.alloc(16, 1));
    expect(open(new HelloCollector(DCID), packet)).toBe("invalid");
  });

  test("of any frames is read to its end, or is none", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (frames) => {
        const outcome = open(new HelloCollector(DCID), seal(Buffer.from(frames)));
        expect(["more", "invalid"]).toContain(outcome as string);
      }),
    );
  });

  test("that is cut anywhere, or changed anywhere, is none", () => {
    const message = hello("example.com", 32);
    const packet = seal(crypto(message, 0, message.length));
    fc.assert(
      fc.property(fc.nat(packet.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
        const changed = Buffer.from(packet);
        changed[at]! ^= bits;
        for (const bytes of [packet.subarray(0, at), changed]) {
          const header = parseLongHeader(bytes);
          if (header === null || header.lengthAt < 0) continue;
          const outcome = new HelloCollector(DCID).add(bytes, header);
          expect(outcome.type).toBe("invalid");
        }
      }),
    );
  });
});

test("keys are those of RFC 9001 appendix A.1", () => {
  const salt = Buffer.from("38762cf7f55934b34d179ae6a4c80cadccbb7f0a", "hex");
  const secret = createHmac("sha256", salt).update(DCID).digest("hex");
  expect(secret).toBe("7db5df06e7a69e432496adedb00851923595221596ae2ae9fb8115c1e9ed0a44");
});
