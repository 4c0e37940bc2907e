// Reads from a socket of the runtime that is paused, by a system call. The runtime itself reads up to 512 KiB at once, which is
// more than one connection may hold whose reader is slow; this reads as much as its caller can do with. Called by wires.

import { errnoName } from "../../ffi/errno.ts";
import { errno, libc } from "../../ffi/libc.ts";
import { MSG_DONTWAIT } from "../../ffi/linux.ts";
import { addressOf, pinnedBytes } from "../../ffi/memory.ts";
import { WIRE } from "../../shared/limits.ts";

const BUFFER = pinnedBytes(WIRE.sipBytes);
const ADDRESS = addressOf(BUFFER);

/** Whether there are such system calls. */
export const CAN_RECEIVE = process.platform === "linux";

/** The peer has ended its direction. The runtime will find that, too. */
export const ENDED = "";
/** There are no bytes now. */
export const NOTHING_YET = "EAGAIN";

/**
 * @returns bytes that are the caller's, at most WIRE.sipBytes; or why there are none: ENDED, NOTHING_YET, or the name of another
 * errno, which the kernel tells only once, so that the runtime will take it for an end.
 */
export function receive(fd: number): Uint8Array | string {
  const length = libc.recv(fd, ADDRESS, BUFFER.length, MSG_DONTWAIT);
  if (length > 0) return BUFFER.slice(0, length);
  if (length === 0) return ENDED;
  const name = errnoName(errno());
  return name === "EINTR" ? NOTHING_YET : name;
}
