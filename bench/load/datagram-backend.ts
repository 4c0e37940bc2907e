// The backend behind every contestant that relays datagrams: prints its port as one JSON line, then answers questions and counts
// what is to be counted. Started by backends.ts.

import { ptr } from "bun:ffi";

import { COUNT, COUNTED, datagram, KIND_WORD, TOTAL_WORD } from "./datagrams.ts";
import { bindDatagrams, EAGAIN, errno, fail, libc, portOf } from "./libc.ts";

const MAX_BYTES = 65_536;
const SOCKADDR_BYTES = 16;
const ECONNREFUSED = 111; // of an answer to somebody who is gone

const { fd, port } = bindDatagrams();
const words = datagram(MAX_BYTES);
const pointer = ptr(words);
const address = new Uint8Array(new ArrayBuffer(SOCKADDR_BYTES));
const addressPointer = ptr(address);
const addressLength = new Uint32Array(new ArrayBuffer(4));
const lengthPointer = ptr(addressLength);
/** By the port that they came from: a relay has one for each of its clients. */
const counted = new Uint32Array(65_536);

console.log(JSON.stringify({ port }));
for (;;) {
  addressLength[0] = SOCKADDR_BYTES;
  const got = libc.recvfrom(fd, pointer, MAX_BYTES, 0, addressPointer, lengthPointer);
  if (got < 0) {
    if (errno() !== ECONNREFUSED && errno() !== EAGAIN) fail("recvfrom");
    continue;
  }
  const kind = words[KIND_WORD]!;
  if (kind === COUNTED) {
    counted[portOf(address)]!++;
    continue;
  }
  if (kind === COUNT) words[TOTAL_WORD] = counted[portOf(address)]!;
  libc.sendto(fd, pointer, got, 0, addressPointer, SOCKADDR_BYTES);
}
