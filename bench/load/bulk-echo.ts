// Large echoes on one connection: sends a block, reads it back, and again. Prints one JSON line. The whole is
// repeated, each time on a new connection, and the median repetition is the result. Started by
// bench/engine/seed.ts.

import { ptr } from "bun:ffi";

import { connectBegin, EAGAIN, errno, fail, libc, MSG_NOSIGNAL } from "./libc.ts";
import { EPOLLIN, EPOLLOUT, Poller } from "./poller.ts";

export interface BulkEchoRequest {
  port: number;
  blockBytes: number;
  blocks: number;
  /** Repetitions before the measured ones, and how many are measured. */
  warm: number;
  repetitions: number;
}

export interface BulkEchoResult {
  /** Bytes of both directions in one repetition. */
  bytes: number;
  elapsedMs: number;
}

const request = JSON.parse(process.argv[2]!) as BulkEchoRequest;
const { port, blockBytes, blocks, warm, repetitions } = request;
const block = new Uint8Array(blockBytes).map((_, i) => i * 7 + (i >>> 8));
const buffer = new Uint8Array(blockBytes);

/** Sends while the socket takes bytes, and reads meanwhile what comes back: whatever a relay holds, nothing blocks. */
function exchange(poller: Poller, fd: number): void {
  let sent = 0;
  let received = 0;
  poller.change(fd, EPOLLIN | EPOLLOUT);
  while (received < blockBytes) {
    if (poller.wait(5000) === 0) throw new Error(`the echo hangs after ${received} bytes`);
    if ((poller.eventsAt(0) & EPOLLOUT) !== 0) {
      const count = libc.send(fd, ptr(block, sent), blockBytes - sent, MSG_NOSIGNAL);
      if (count < 0 && errno() !== EAGAIN) fail("send");
      sent += Math.max(count, 0);
      if (sent === blockBytes) poller.change(fd, EPOLLIN);
    }
    if ((poller.eventsAt(0) & EPOLLIN) !== 0) {
      const count = libc.recv(fd, ptr(buffer, received), blockBytes - received, 0);
      if (count === 0) throw new Error(`the connection ended after ${received} bytes`);
      if (count < 0 && errno() !== EAGAIN) fail("recv");
      received += Math.max(count, 0);
    }
  }
}

function repeat(): number {
  const poller = new Poller();
  const fd = connectBegin(port);
  poller.add(fd, EPOLLOUT);
  poller.wait(5000);
  const begin = performance.now();
  for (let i = 0; i < blocks; i++) exchange(poller, fd);
  const elapsedMs = performance.now() - begin;
  libc.close(fd);
  poller.close();
  if (Buffer.compare(buffer, block) !== 0) throw new Error("an echo differs from what was sent");
  return elapsedMs;
}

for (let i = 0; i < warm; i++) repeat();
const times = Array.from({ length: repetitions }, repeat).toSorted((a, b) => a - b);
const elapsedMs = times[times.length >> 1]!;
console.log(JSON.stringify({ bytes: 2 * blocks * blockBytes, elapsedMs } satisfies BulkEchoResult));
