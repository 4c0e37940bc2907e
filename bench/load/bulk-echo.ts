// Large echoes on one connection: sends a block, reads it back, and again. Prints one JSON line. The whole is
// repeated, each time on a new connection, and the median repetition is the result. Started by
// bench/engine/seed.ts.

import { ptr } from "bun:ffi";

import { repeated, type RepeatedRequest } from "./interval.ts";
import { connectBegin, EAGAIN, errno, fail, libc, MSG_NOSIGNAL } from "./libc.ts";
import { EPOLLIN, EPOLLOUT, Poller } from "./poller.ts";

export interface BulkEchoRequest extends RepeatedRequest {
  blockBytes: number;
  blocks: number;
}

export interface BulkEchoResult {
  /** Bytes of both directions in one repetition. */
  bytes: number;
  elapsedMs: number;
}

const request = JSON.parse(process.argv[2]!) as BulkEchoRequest;
const { port, blockBytes, blocks } = request;
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

function once(): BulkEchoResult {
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
  return { bytes: 2 * blocks * blockBytes, elapsedMs };
}

console.log(JSON.stringify(repeated(request, once)));
