// Looks at what a client sends first while the runtime has not read it, and takes exactly as much of it as the caller has use
// for: what follows a PROXY header may be a TLS handshake, which the runtime must find whole. Linux only. Called by the wires'
// introductions.

import { errnoName } from "../../ffi/errno.ts";
import { errno, libc } from "../../ffi/libc.ts";
import { IPPROTO_TCP, MSG_DONTWAIT, MSG_PEEK, TCP_DEFER_ACCEPT } from "../../ffi/linux.ts";
import { addressOf, pinnedBytes } from "../../ffi/memory.ts";
import { FIRST_BYTES } from "../../shared/limits.ts";
import { hasEnded, setInteger } from "../linux/sockets.ts";
import { ENDED, NOTHING_YET } from "./receive.ts";

export { ENDED, hasEnded, NOTHING_YET };

const BUFFER = pinnedBytes(FIRST_BYTES.proxyHeaderMaxBytes);
const ADDRESS = addressOf(BUFFER);

/** @returns all that has come, as far as a header may be long, until the next call; or why there is nothing (receive.ts). */
export function peekFirst(fd: number): Uint8Array | string {
  const length = libc.recv(fd, ADDRESS, BUFFER.length, MSG_PEEK | MSG_DONTWAIT);
  if (length > 0) return BUFFER.subarray(0, length);
  if (length === 0) return ENDED;
  const name = errnoName(errno());
  return name === "EINTR" ? NOTHING_YET : name;
}

/** Takes bytes that were peeked at. */
export function skipFirst(fd: number, bytes: number): void {
  libc.recv(fd, ADDRESS, bytes, MSG_DONTWAIT);
}

/**
 * Clients of a TCP listener are accepted when their first bytes are there (tcp(7), TCP_DEFER_ACCEPT), so that most need not be
 * waited for; who sends none is accepted after `waitMs`.
 */
export function deferAccept(fd: number, waitMs: number): void {
  setInteger(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, Math.ceil(waitMs / 1_000));
}
