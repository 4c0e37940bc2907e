// Short connections: connect, send one message, read its echo, close. Prints one JSON line with the count, the
// latency after connect, and the relay's CPU time. Started by bench/engine/connect.ts and bench/engine/seed.ts.

import { ptr } from "bun:ffi";

import {
  type Elapsed,
  type Going,
  measured,
  repeated,
  type RepeatedRequest,
  timed,
  type TimedRequest,
} from "./interval.ts";
import {
  connectBegin,
  connectBlocking,
  EAGAIN,
  errno,
  fail,
  libc,
  MSG_NOSIGNAL,
  recvAll,
  sendAll,
} from "./libc.ts";
import { EPOLLIN, EPOLLOUT, Poller } from "./poller.ts";

interface Connections {
  /** Connections at once; 1: one after another, with blocking calls. */
  inFlight: number;
  bytes: number;
}

export interface ConnectRequest extends TimedRequest, Connections {}

/** A given number of connections instead of a given time. */
export interface ConnectCountRequest extends RepeatedRequest, Connections {
  count: number;
}

export interface ConnectResult extends Elapsed {
  connections: number;
  /** Mean time from the established connection to the complete echo; 0 unless one after another. */
  echoMs: number;
}

function payload(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => i & 0xff);
}

function sequential(port: number, bytes: number, going: Going) {
  const message = payload(bytes);
  const buffer = new Uint8Array(bytes);
  let done = 0;
  let echoMs = 0;
  for (; going(done); done++) {
    const fd = connectBlocking(port);
    const begin = performance.now();
    sendAll(fd, message);
    recvAll(fd, buffer);
    echoMs += performance.now() - begin;
    libc.close(fd);
    if (buffer[bytes - 1] !== message[bytes - 1]) throw new Error("an echo differs");
  }
  return { connections: done, echoMs: echoMs / done };
}

function concurrent(port: number, bytes: number, inFlight: number, going: Going): number {
  const message = payload(bytes);
  const buffer = new Uint8Array(bytes);
  const poller = new Poller();
  const received = new Map<number, number>();
  let begun = 0;
  let done = 0;
  const begin = (): void => {
    begun++;
    const fd = connectBegin(port);
    received.set(fd, 0);
    poller.add(fd, EPOLLOUT);
  };
  const receive = (fd: number): void => {
    const at = received.get(fd)!;
    const got = libc.recv(fd, ptr(buffer, at), bytes - at, 0);
    if (got < 0 && errno() === EAGAIN) return;
    if (got <= 0) throw new Error(`a connection ended after ${at} of ${bytes} bytes`);
    received.set(fd, at + got);
    if (at + got < bytes) return;
    received.delete(fd);
    libc.close(fd);
    done++;
    if (going(begun)) begin();
  };
  while (begun < inFlight && going(begun)) begin();
  while (received.size > 0) {
    const ready = poller.wait(5000);
    if (ready === 0) throw new Error(`${received.size} connections hang`);
    for (let i = 0; i < ready; i++) {
      const fd = poller.fdAt(i);
      if ((poller.eventsAt(i) & EPOLLOUT) === 0) receive(fd);
      else if (libc.send(fd, ptr(message), bytes, MSG_NOSIGNAL) !== bytes) fail("connect or send");
      else poller.change(fd, EPOLLIN);
    }
  }
  poller.close();
  return done;
}

function measure(request: ConnectRequest | ConnectCountRequest): ConnectResult {
  const { port, bytes, inFlight } = request;
  const run = (going: Going): { connections: number; echoMs: number } =>
    inFlight === 1
      ? sequential(port, bytes, going)
      : { connections: concurrent(port, bytes, inFlight, going), echoMs: 0 };
  if (!("count" in request)) return measured(request, run);
  return repeated(request, () => timed(request.pids, () => run((done) => done < request.count)));
}

console.log(JSON.stringify(measure(JSON.parse(process.argv[2]!))));
