// PROXY headers for tests: made by hand from the specification, not by the encoder under test.

import fc from "fast-check";

import type { Endpoints, Peer } from "../../../src/l4/peer.ts";
import { parseIp } from "../../../src/shared/ip.ts";

export const SIGNATURE = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10];

export function ascii(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "latin1"));
}

/** A header of version 2 whose length is that of its body. */
export function v2(command: number, kind: number, body: readonly number[]): Uint8Array {
  return Uint8Array.from([
    ...SIGNATURE,
    0x20 | command,
    kind,
    body.length >>> 8,
    body.length & 0xff,
    ...body,
  ]);
}

export function vector(type: number, value: ArrayLike<number>): number[] {
  return [type, value.length >>> 8, value.length & 0xff, ...Array.from(value)];
}

/** 192.0.2.1:56324 to 192.0.2.2:443. */
export const IPV4_BODY = [192, 0, 2, 1, 192, 0, 2, 2, 0xdc, 0x04, 0x01, 0xbb];

export function peer(host: string, port: number): Peer {
  return { kind: "ip", ip: parseIp(host)!, port };
}

const port = fc.integer({ min: 0, max: 65535 });
const anyPeer = fc.oneof(
  fc.tuple(fc.ipV4(), port).map(([host, number]) => peer(host, number)),
  fc
    .tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), port)
    .map(([ip, number]): Peer => ({ kind: "ip", ip, port: number })),
);
export const anyEndpoints: fc.Arbitrary<Endpoints> = fc.record({
  source: anyPeer,
  destination: anyPeer,
});
