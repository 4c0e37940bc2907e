// Large answers: each connection asks for the same path again as soon as it has the whole answer. Bodies are counted by the
// kernel and never copied (MSG_TRUNC of tcp(7)), so that the client takes as little as can be of the processors that it shares.
// Prints one JSON line. Started by bench/http/large.ts.

import { ptr } from "bun:ffi";

import { Histogram } from "./histogram.ts";
import { type Elapsed, type Going, measured, type TimedRequest } from "./interval.ts";
import { connectBlocking, libc, MSG_DONTWAIT, sendAll } from "./libc.ts";
import { EPOLLIN, Poller } from "./poller.ts";

export interface DownloadRequest extends TimedRequest {
  connections: number;
  path: string;
  bodyBytes: number;
}

export interface DownloadResult extends Elapsed {
  answers: number;
  p50Us: number;
  p99Us: number;
}

const HANGS_MS = 5_000;
const MSG_TRUNC = 0x20;
const MSG_PEEK = 0x2;
const HEAD_MAX = 4_096;
const DISCARD_MAX = 4 * 1024 * 1024;

function measure(request: DownloadRequest): DownloadResult {
  const { connections, path, bodyBytes, port } = request;
  const poller = new Poller();
  const buffer = new Uint8Array(new ArrayBuffer(HEAD_MAX));
  const ask = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  const fds = Array.from({ length: connections }, () => connectBlocking(port));
  const rows = Math.max(...fds) + 1;
  const askedAt = new Float64Array(rows);
  /** Bytes of the body to come; 0: the head. */
  const left = new Float64Array(rows);
  const times = new Histogram();
  const length = new RegExp(`\r\ncontent-length: ${bodyBytes}\r\n`, "i");

  const send = (fd: number): void => {
    askedAt[fd] = performance.now();
    sendAll(fd, ask);
  };
  const discard = (fd: number, bytes: number): number => {
    const got = libc.recv(fd, null, Math.min(bytes, DISCARD_MAX), MSG_DONTWAIT | MSG_TRUNC);
    if (got <= 0) throw new Error(`a connection ended with ${left[fd]} bytes to come`);
    return got;
  };
  const receiveHead = (fd: number): void => {
    const got = libc.recv(fd, ptr(buffer), HEAD_MAX, MSG_DONTWAIT | MSG_PEEK);
    if (got <= 0) throw new Error(`a connection ended after ${times.count} answers`);
    const text = Buffer.from(buffer.buffer, 0, got).toString("latin1");
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) return; // the rest of the head is on its way
    const head = text.slice(0, end + 4);
    if (!head.startsWith("HTTP/1.1 200 ") || !length.test(head)) {
      throw new Error(`not the answer that was asked for: ${head}`);
    }
    for (let at = 0; at < head.length;) at += discard(fd, head.length - at);
    left[fd] = bodyBytes;
  };
  const receive = (fd: number): void => {
    if (left[fd] === 0) return receiveHead(fd);
    left[fd]! -= discard(fd, left[fd]!);
    if (left[fd] !== 0) return;
    times.record(performance.now() - askedAt[fd]!);
    send(fd);
  };
  const serve = (going: Going): { answers: number } => {
    times.clear();
    while (going(times.count)) {
      const ready = poller.wait(HANGS_MS);
      if (ready === 0) throw new Error(`no byte after ${times.count} answers`);
      for (let i = 0; i < ready; i++) receive(poller.fdAt(i));
    }
    return { answers: times.count };
  };

  for (const fd of fds) {
    poller.add(fd, EPOLLIN);
    send(fd);
  }
  const result = measured(request, serve);
  for (const fd of fds) libc.close(fd);
  return { ...result, p50Us: times.percentileUs(0.5), p99Us: times.percentileUs(0.99) };
}

console.log(JSON.stringify(measure(JSON.parse(process.argv[2]!))));
