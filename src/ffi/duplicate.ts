// Duplicates of connected sockets, for handing a connection from one owner to another within the process. Linux only.
// Called by src/library/splice.ts.

import { closeSync } from "node:fs";

import { libc } from "./libc.ts";
import { F_DUPFD_CLOEXEC, SO_LINGER, SOL_SOCKET } from "./linux.ts";
import { addressOf, pinnedBytes, pinnedInt32 } from "./memory.ts";

const SHUT_RDWR = 2;

/** struct sockaddr with sa_family AF_UNSPEC. */
const UNSPECIFIED = pinnedBytes(16);
/** struct linger { int l_onoff; int l_linger; } */
const LINGER_RESET = pinnedInt32(2);
LINGER_RESET[0] = 1;

/** A second descriptor of the same socket, closed on exec; -1 if none is to be had. fcntl(2). */
export function duplicate(fd: number): number {
  return libc.fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/** Closes a socket that no other descriptor refers to with a reset instead of a FIN (SO_LINGER of 0, socket(7)). */
export function closeWithReset(fd: number): void {
  libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, addressOf(LINGER_RESET), LINGER_RESET.byteLength);
  closeSync(fd);
}

/**
 * Resets a connection whatever other descriptors refer to it, which see ECONNRESET. TCP dissolves the association and sends
 * a reset (connect(2) with AF_UNSPEC); a unix socket, which has no reset, is shut down.
 */
export function resetShared(fd: number): void {
  if (libc.connect(fd, addressOf(UNSPECIFIED), UNSPECIFIED.length) < 0)
    libc.shutdown(fd, SHUT_RDWR);
}
