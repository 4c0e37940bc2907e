// Datagrams to the service manager (sd_notify(3)), for which the runtime has no socket, and the clock that it compares them
// with. Linux only. Called by the control plane.

import { sharedMs } from "./clock.ts";
import { errno, libc } from "./libc.ts";
import { AF_UNIX, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_DGRAM } from "./linux.ts";
import { addressOf, pinnedBytes } from "./memory.ts";

/**
 * Sends one datagram. Waits while the receiver's queue is full, as sd_notify does: what it says must not get lost.
 * @param path of the unix socket; `@` at its beginning is the abstract namespace.
 * @returns 0, or the error number.
 */
export function sendDatagram(path: string, text: string): number {
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno();
  const address = encodePath(path);
  const bytes = pinnedBytes(Buffer.byteLength(text));
  bytes.set(Buffer.from(text));
  let error = libc.connect(fd, addressOf(address), address.length) < 0 ? errno() : 0;
  if (error === 0 && libc.send(fd, addressOf(bytes), bytes.length, MSG_NOSIGNAL) < 0) {
    error = errno();
  }
  libc.close(fd);
  return error;
}

/** Microseconds of CLOCK_MONOTONIC, which all processes of a machine share. */
export function monotonicUsec(): number {
  return Math.floor(sharedMs() * 1_000);
}

/** struct sockaddr_un (unix(7)): an abstract name begins with a zero byte and ends where the length says. */
function encodePath(path: string): Uint8Array {
  const text = Buffer.from(path);
  const abstract = path.startsWith("@");
  const bytes = pinnedBytes(2 + text.length + (abstract ? 0 : 1));
  bytes[0] = AF_UNIX;
  bytes.set(text, 2);
  if (abstract) bytes[2] = 0;
  return bytes;
}
