// Ping-pong: each connection sends one message, waits for its echo, and sends the next; as plain bytes or as WebSocket messages.
// Prints one JSON line with the count, the latencies and the relay's CPU time of the measured interval. Started by
// bench/engine/pingpong.ts and bench/http/websocket.ts.

import { ptr } from "bun:ffi";

import { Histogram } from "./histogram.ts";
import { type Elapsed, type Going, measured, type TimedRequest } from "./interval.ts";
import { connectBlocking, fail, libc, MSG_DONTWAIT, MSG_NOSIGNAL } from "./libc.ts";
import { EPOLLIN, Poller } from "./poller.ts";
import { frames, upgrade } from "./websocket.ts";

export interface PingPongRequest extends TimedRequest {
  connections: number;
  bytes: number;
  /** Messages are WebSocket's, of up to 125 bytes. */
  webSocket?: boolean;
}

export interface PingPongResult extends Elapsed {
  messages: number;
  p50Us: number;
  p99Us: number;
}

const HANGS_MS = 2_000;

/** What is sent and what comes back, and the number in it by which an echo is known. */
export interface Messages {
  message: Uint8Array;
  buffer: Uint8Array;
  sequence: Uint32Array;
  echoed: Uint32Array;
}

function plain(bytes: number): Messages {
  // Over an ArrayBuffer of its own: JavaScriptCore moves small typed arrays that are not, and the address is kept.
  const message = new Uint8Array(new ArrayBuffer(bytes));
  const buffer = new Uint8Array(new ArrayBuffer(bytes));
  const sequence = new Uint32Array(message.buffer, 0, 1);
  return { message, buffer, sequence, echoed: new Uint32Array(buffer.buffer, 0, 1) };
}

function measure(request: PingPongRequest): PingPongResult {
  const { connections, bytes, webSocket = false } = request;
  const poller = new Poller();
  const { message, buffer, sequence, echoed } = webSocket ? frames(bytes) : plain(bytes);
  const { length: messageBytes } = message;
  const { length: echoBytes } = buffer;
  const fds = Array.from({ length: connections }, () => connectBlocking(request.port));
  if (webSocket) for (const fd of fds) upgrade(fd, request.port);
  const rows = Math.max(...fds) + 1;
  const sentAt = new Float64Array(rows);
  const expected = new Uint32Array(rows);
  const received = new Uint32Array(rows);
  const latencies = new Histogram();
  const messagePointer = ptr(message);

  const send = (fd: number, now: number): void => {
    expected[fd] = ++sequence[0]!;
    sentAt[fd] = now;
    const sent = libc.send(fd, messagePointer, messageBytes, MSG_NOSIGNAL);
    if (sent !== messageBytes) fail("send");
  };
  const receive = (fd: number): void => {
    const at = received[fd]!;
    const got = libc.recv(fd, ptr(buffer, at), echoBytes - at, MSG_DONTWAIT);
    if (got <= 0) throw new Error(`a connection ended after ${latencies.count} messages`);
    received[fd] = at + got;
    if (at + got < echoBytes) return;
    received[fd] = 0;
    if (at === 0 && echoed[0] !== expected[fd])
      throw new Error("an echo differs from what was sent");
    const now = performance.now();
    latencies.record(now - sentAt[fd]!);
    send(fd, now);
  };
  const serve = (going: Going): { messages: number } => {
    latencies.clear();
    while (going(latencies.count)) {
      const ready = poller.wait(HANGS_MS);
      if (ready === 0) throw new Error(`no echo after ${latencies.count} messages`);
      for (let i = 0; i < ready; i++) receive(poller.fdAt(i));
    }
    return { messages: latencies.count };
  };

  for (const fd of fds) {
    poller.add(fd, EPOLLIN);
    send(fd, performance.now());
  }
  const result = measured(request, serve);
  for (const fd of fds) libc.close(fd);
  return { ...result, p50Us: latencies.percentileUs(0.5), p99Us: latencies.percentileUs(0.99) };
}

console.log(JSON.stringify(measure(JSON.parse(process.argv[2]!))));
