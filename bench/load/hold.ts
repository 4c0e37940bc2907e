// Idle connections: opens them, sends a message to the backend and back on each, prints one JSON line, and holds them
// until its standard input ends. Started by bench/engine/idle.ts.

import { connectBlocking, libc, recvAll, sendAll } from "./libc.ts";

export interface HoldRequest {
  port: number;
  connections: number;
  bytes: number;
  /** Messages on each connection, one after another. */
  messages: number;
}

const { port, connections, bytes, messages } = JSON.parse(process.argv[2]!) as HoldRequest;
const message = new Uint8Array(bytes).fill(0x2a);
const buffer = new Uint8Array(bytes);
const fds: number[] = [];
for (let i = 0; i < connections; i++) {
  const fd = connectBlocking(port);
  fds.push(fd);
  for (let n = 0; n < messages; n++) {
    sendAll(fd, message);
    recvAll(fd, buffer);
  }
}
console.log(JSON.stringify({ connections: fds.length }));
await Bun.stdin.bytes();
for (const fd of fds) libc.close(fd);
