// Open loop: messages are due at times that were fixed before the first was sent, whatever became of those before
// them, and a latency counts from the time at which its message was due. So a relay that stands still for a moment
// delays all that fall into that moment, and all of them are counted (no coordinated omission). Prints one JSON
// line. Started by bench/engine/latency.ts.

import { ptr } from "bun:ffi";

import { Histogram } from "./histogram.ts";
import { type Elapsed, type Going, measured, type TimedRequest } from "./interval.ts";
import { connectBlocking, fail, libc, MSG_DONTWAIT, MSG_NOSIGNAL } from "./libc.ts";
import { EPOLLIN, PrecisePoller } from "./poller.ts";

export interface PacedRequest extends TimedRequest {
  connections: number;
  bytes: number;
  /** Over all connections, which take turns. */
  perSecond: number;
}

export interface PacedResult extends Elapsed {
  messages: number;
  p50Us: number;
  p99Us: number;
  p999Us: number;
}

const READ_BYTES = 64 * 1024;
const WAIT_MAX_MS = 100;
const HANGS_MS = 5_000;

function measure(request: PacedRequest): PacedResult {
  const { connections, bytes, perSecond } = request;
  const intervalMs = 1000 / perSecond;
  const poller = new PrecisePoller();
  const message = new Uint32Array(new ArrayBuffer(bytes));
  const messagePointer = ptr(message);
  const buffer = new Uint8Array(new ArrayBuffer(READ_BYTES));
  const bufferPointer = ptr(buffer);
  const view = new DataView(buffer.buffer);
  const fds = Array.from({ length: connections }, () => connectBlocking(request.port));
  const latencies = new Histogram();
  const indexOf = new Uint32Array(Math.max(...fds) + 1);
  const received = new Float64Array(connections); // bytes of echoes
  let begin = 0;
  let sent = 0;

  const dueAt = (sequence: number): number => begin + sequence * intervalMs;
  const send = (): void => {
    message[0] = sent;
    const fd = fds[sent % connections]!;
    // A socket takes thousands of messages that no one has read yet: a relay that is that far behind has failed.
    const taken = libc.send(fd, messagePointer, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (taken !== bytes) fail("send");
    sent++;
  };
  const receive = (index: number): void => {
    const before = received[index]!;
    const got = libc.recv(fds[index]!, bufferPointer, READ_BYTES, MSG_DONTWAIT);
    if (got <= 0) throw new Error(`a connection ended after ${latencies.count} messages`);
    const now = performance.now();
    const first = Math.floor(before / bytes);
    const offset = first * bytes - before; // where the first message begins: 0 or less
    const complete = Math.floor((before + got) / bytes) - first;
    received[index] = before + got;
    for (let i = 0; i < complete; i++) {
      const sequence = (first + i) * connections + index;
      const at = offset + i * bytes;
      if (at >= 0 && view.getUint32(at, true) !== sequence)
        throw new Error("an echo differs from what was sent");
      latencies.record(now - dueAt(sequence));
    }
  };
  const receiveAll = (ready: number): void => {
    for (let i = 0; i < ready; i++) receive(indexOf[poller.fdAt(i)]!);
  };
  const serve = (going: Going): { messages: number } => {
    latencies.clear();
    received.fill(0);
    sent = 0;
    begin = performance.now();
    while (going(sent)) {
      while (dueAt(sent) <= performance.now()) send();
      const restMs = dueAt(sent) - performance.now();
      receiveAll(poller.waitPrecisely(Math.min(Math.max(restMs, 0), WAIT_MAX_MS)));
    }
    while (latencies.count < sent) {
      const ready = poller.wait(HANGS_MS);
      if (ready === 0) throw new Error(`${sent - latencies.count} of ${sent} echoes are missing`);
      receiveAll(ready);
    }
    return { messages: sent };
  };

  fds.forEach((fd, index) => {
    indexOf[fd] = index;
    poller.add(fd, EPOLLIN);
  });
  const result = measured(request, serve);
  for (const fd of fds) libc.close(fd);
  const at = (share: number): number => latencies.percentileUs(share);
  return { ...result, p50Us: at(0.5), p99Us: at(0.99), p999Us: at(0.999) };
}

console.log(JSON.stringify(measure(JSON.parse(process.argv[2]!))));
