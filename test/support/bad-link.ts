// A network that is far away and loses packets, in a network namespace: a tun device whose other end is this program. A packet to
// PEER comes back from PEER to OWN after a while, or never: what connects to PEER reaches what listens on OWN, over a link with
// that delay and loss in each direction. (Exchanging the two addresses leaves all checksums right.) The kernel's netem would do
// the same, where it is built in.

import { dlopen, FFIType } from "bun:ffi";
import { openSync, read, writeSync } from "node:fs";

import { run } from "./daemon.ts";

export const OWN = "10.9.0.1";
export const PEER = "10.9.0.2";

export interface Link {
  /** One way. */
  readonly delayMs: number;
  /** Of each packet, of 1. */
  readonly loss: number;
  /** Of each packet, of 1: it is late by as much again as the delay, so that others overtake it. */
  readonly reordering: number;
  readonly seed: number;
}

const TUNSETIFF = 0x400454can;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
const NAME = "bad0";
const MTU = 1_500;

/** @returns counts of what went through it so far. */
export async function badLink(link: Link): Promise<{ packets: number; lost: number }> {
  const fd = openSync("/dev/net/tun", "r+");
  attach(fd);
  await run(["ip", "addr", "add", `${OWN}/30`, "dev", NAME]);
  await run(["ip", "link", "set", NAME, "up"]);
  const counts = { packets: 0, lost: 0 };
  const chance = random(link.seed);
  const next = (): void => {
    const packet = Buffer.alloc(MTU + 100);
    read(fd, packet, 0, packet.length, null, (error, bytes) => {
      if (error !== null) throw error;
      take(packet.subarray(0, bytes));
      next();
    });
  };
  const take = (packet: Buffer): void => {
    if (packet[0]! >> 4 !== 4) return; // IPv6 has nobody here
    counts.packets++;
    if (chance() < link.loss) {
      counts.lost++;
      return;
    }
    exchange(packet);
    const delay = chance() < link.reordering ? 2 * link.delayMs : link.delayMs;
    setTimeout(() => writeSync(fd, packet), delay);
  };
  next();
  return counts;
}

/** Source and destination of an IPv4 header. */
function exchange(packet: Buffer): void {
  const source = packet.readUInt32BE(12);
  packet.writeUInt32BE(packet.readUInt32BE(16), 12);
  packet.writeUInt32BE(source, 16);
}

/** struct ifreq: the name, and flags behind it. */
function attach(fd: number): void {
  const { symbols } = dlopen("libc.so.6", {
    // int ioctl(int fd, unsigned long request, void *argument)
    ioctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
  });
  const request = new Uint8Array(2_048); // one that does not move (src/ffi/memory.ts)
  request.set(Buffer.from(NAME));
  new DataView(request.buffer).setInt16(16, IFF_TUN | IFF_NO_PI, true);
  if (symbols.ioctl(fd, TUNSETIFF, request) !== 0) throw new Error("no tun device is to be had");
}

/** The same for the same seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}
