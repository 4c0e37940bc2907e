// The echo backend behind every contestant: prints its port as one JSON line, then sends back what it reads. It
// holds at most one read of undelivered bytes for a connection, and ends a connection when its client has.
// Started by backends.ts.

import { ptr } from "bun:ffi";

import { accept, EAGAIN, errno, libc, listenLoopback, MSG_NOSIGNAL } from "./libc.ts";
import { EPOLLIN, EPOLLOUT, Poller } from "./poller.ts";

const buffer = new Uint8Array(256 * 1024);
const pointer = ptr(buffer);
const poller = new Poller();
const waiting = new Map<number, Uint8Array>();
const { fd: listener, port } = listenLoopback();

function end(fd: number): void {
  waiting.delete(fd);
  libc.close(fd);
}

/** Reads once and echoes; what the socket does not take waits, and reading stops. */
function echo(fd: number): void {
  const got = libc.recv(fd, pointer, buffer.length, 0);
  if (got <= 0) {
    if (got === 0 || errno() !== EAGAIN) end(fd);
    return;
  }
  const sent = libc.send(fd, pointer, got, MSG_NOSIGNAL);
  if (sent === got) return;
  if (sent < 0 && errno() !== EAGAIN) return end(fd);
  waiting.set(fd, buffer.slice(Math.max(sent, 0), got));
  poller.change(fd, EPOLLOUT);
}

function flush(fd: number): void {
  const rest = waiting.get(fd)!;
  const sent = libc.send(fd, ptr(rest), rest.length, MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno() !== EAGAIN) end(fd);
  } else if (sent < rest.length) {
    waiting.set(fd, rest.subarray(sent).slice());
  } else {
    waiting.delete(fd);
    poller.change(fd, EPOLLIN);
  }
}

poller.add(listener, EPOLLIN);
console.log(JSON.stringify({ port }));
for (;;) {
  const count = poller.wait(-1);
  for (let i = 0; i < count; i++) {
    const fd = poller.fdAt(i);
    if (fd === listener) {
      for (let client = accept(listener); client >= 0; client = accept(listener)) {
        poller.add(client, EPOLLIN);
      }
    } else if (waiting.has(fd)) flush(fd);
    else echo(fd);
  }
}
