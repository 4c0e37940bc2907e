// Ping-pong: each connection sends one message, waits for its echo, and sends the next. Prints one JSON line with the
// count, the latencies and the relay's CPU time of the measured interval. Started by bench/engine/pingpong.ts.

import { ptr } from "bun:ffi";

import { connectBlocking, fail, libc, MSG_DONTWAIT, MSG_NOSIGNAL } from "./libc.ts";
import { EPOLLIN, Poller } from "./poller.ts";
import { cpuSince, cpuTime } from "./usage.ts";

export interface PingPongRequest {
  port: number;
  connections: number;
  bytes: number;
  warmMs: number;
  runMs: number;
  /** Processes of the relay. */
  pids: number[];
}

export interface PingPongResult {
  messages: number;
  elapsedMs: number;
  p50Us: number;
  p99Us: number;
  userMs: number;
  systemMs: number;
}

const SAMPLES_MAX = 1 << 20;

function measure(request: PingPongRequest): PingPongResult {
  const { connections, bytes } = request;
  const poller = new Poller();
  // Over an ArrayBuffer of its own: JavaScriptCore moves small typed arrays that are not, and the address is kept.
  const message = new Uint8Array(new ArrayBuffer(bytes));
  const sequence = new Uint32Array(message.buffer, 0, 1);
  const buffer = new Uint8Array(bytes);
  const echoed = new Uint32Array(buffer.buffer, 0, 1);
  const fds = Array.from({ length: connections }, () => connectBlocking(request.port));
  const rows = Math.max(...fds) + 1;
  const sentAt = new Float64Array(rows);
  const expected = new Uint32Array(rows);
  const received = new Uint32Array(rows);
  const samples = new Float64Array(SAMPLES_MAX);
  const messagePointer = ptr(message);
  let count = 0;

  const send = (fd: number, now: number): void => {
    expected[fd] = ++sequence[0]!;
    sentAt[fd] = now;
    if (libc.send(fd, messagePointer, bytes, MSG_NOSIGNAL) !== bytes) fail("send");
  };
  const receive = (fd: number): void => {
    const at = received[fd]!;
    const got = libc.recv(fd, ptr(buffer, at), bytes - at, MSG_DONTWAIT);
    if (got <= 0) throw new Error(`a connection ended in the middle after ${count} messages`);
    received[fd] = at + got;
    if (at + got < bytes) return;
    received[fd] = 0;
    if (at === 0 && echoed[0] !== expected[fd])
      throw new Error("an echo differs from what was sent");
    const now = performance.now();
    samples[count++ % SAMPLES_MAX] = now - sentAt[fd]!;
    send(fd, now);
  };
  const serve = (ms: number): number => {
    const begin = performance.now();
    for (let now = begin; now < begin + ms; now = performance.now()) {
      const ready = poller.wait(1000);
      if (ready === 0) throw new Error(`no echo for a second after ${count} messages`);
      for (let i = 0; i < ready; i++) receive(poller.fdAt(i));
    }
    return performance.now() - begin;
  };

  for (const fd of fds) {
    poller.add(fd, EPOLLIN);
    send(fd, performance.now());
  }
  serve(request.warmMs);
  count = 0;
  const before = cpuTime(request.pids);
  const elapsedMs = serve(request.runMs);
  const cpu = cpuSince(before, request.pids);
  for (const fd of fds) libc.close(fd);
  const sorted = samples.subarray(0, Math.min(count, SAMPLES_MAX)).toSorted();
  const at = (share: number): number => (sorted[Math.floor(sorted.length * share)] ?? 0) * 1000;
  return { messages: count, elapsedMs, p50Us: at(0.5), p99Us: at(0.99), ...cpu };
}

console.log(JSON.stringify(measure(JSON.parse(process.argv[2]!))));
