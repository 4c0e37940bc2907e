// Duplicates of connected sockets, for handing a connection from one owner to another within the process. Linux only.
// Called by src/library/splice.ts.

import { ptr } from "bun:ffi";
import { closeSync } from "node:fs";

import { libc } from "./libc.ts";

const F_DUPFD_CLOEXEC = 1030;
const SOL_SOCKET = 1;
const SO_LINGER = 13;
const SHUT_RDWR = 2;

/** struct sockaddr with sa_family AF_UNSPEC. */
const UNSPECIFIED = new Uint8Array(16);

/** A second descriptor of the same socket, closed on exec; -1 if none is to be had. fcntl(2). */
export function duplicate(fd: number): number {
  return libc.fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/** Closes a socket that no other descriptor refers to with a reset instead of a FIN (SO_LINGER of 0, socket(7)). */
export function closeWithReset(fd: number): void {
  const linger = new Int32Array([1, 0]);
  libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, ptr(linger), linger.byteLength);
  closeSync(fd);
}

/**
 * Resets a connection whatever other descriptors refer to it, which see ECONNRESET. TCP dissolves the association and sends
 * a reset (connect(2) with AF_UNSPEC); a unix socket, which has no reset, is shut down.
 */
export function resetShared(fd: number): void {
  if (libc.connect(fd, ptr(UNSPECIFIED), UNSPECIFIED.length) < 0) libc.shutdown(fd, SHUT_RDWR);
}
