// Fast Open towards targets (tcp(7), TCP_FASTOPEN_CONNECT). With a cookie at hand connect(2) sends nothing: the SYN waits for
// the first bytes, to carry them. Where the target speaks first no bytes come, and both would wait for ever. Linux only.
// Called by the engines once a target counts as connected.

import { libc } from "./libc.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK } from "./linux.ts";
import { pinnedBytes } from "./memory.ts";

/** Passed itself and not by a kept address: what no function refers to is collected, and its memory with it. */
const SCRATCH = pinnedBytes(1);

/**
 * Sends a SYN that waits for bytes without any: a write of length 0 does it. Does nothing on a socket that is connected or
 * whose SYN is under way. A failure shows as an error of the socket later, as it would have with bytes.
 */
export function sendWaitingSyn(fd: number): void {
  libc.send(fd, SCRATCH, 0, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/** Whether bytes wait to be read from a socket. */
export function hasBytes(fd: number): boolean {
  return libc.recv(fd, SCRATCH, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}
