// Making and asking sockets: the calls around a connection's beginning, none of them on the path of a byte.

import { errnoText } from "../../ffi/errno.ts";
import { errno, libc } from "../../ffi/libc.ts";
import {
  AF_UNIX,
  EPOLLPRI,
  EPOLLRDHUP,
  F_DUPFD_CLOEXEC,
  F_GETFL,
  F_SETFL,
  IPPROTO_TCP,
  O_NONBLOCK,
  RLIMIT_NOFILE,
  SO_ERROR,
  SO_OOBINLINE,
  SO_RCVTIMEO,
  SO_TYPE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_INFO,
  TCP_SYN_SENT,
} from "../../ffi/linux.ts";
import { addressOf, pinnedBytes, pinnedInt32 } from "../../ffi/memory.ts";
import { decodeSockaddr, SOCKADDR_MAX_BYTES } from "../../ffi/sockaddr.ts";
import type { SocketAddress } from "../../shared/address.ts";
import { ProxyError } from "../../shared/errors.ts";
import { impossible } from "./errnos.ts";

const integer = pinnedInt32(1);
const length = pinnedInt32(1);
/** struct pollfd { int fd; short events; short revents; } */
const asked = pinnedInt32(2);
const address = pinnedBytes(SOCKADDR_MAX_BYTES);
/** struct timeval { time_t tv_sec; suseconds_t tv_usec; }: the shortest that there is, one tick of the kernel */
const SHORTEST = new BigInt64Array(new ArrayBuffer(16));
SHORTEST[1] = 1n;
/** struct rlimit { rlim_t rlim_cur; rlim_t rlim_max; } */
const limits = new BigUint64Array(new ArrayBuffer(16));

/** A stream socket; negative: -errno. */
export function streamSocket(family: number, flags: number = SOCK_NONBLOCK): number {
  const fd = libc.socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  return fd < 0 ? -errno() : fd;
}

export function setInteger(fd: number, level: number, option: number, value: number): number {
  integer[0] = value;
  return libc.setsockopt(fd, level, option, addressOf(integer), 4);
}

/** SO_ERROR: the pending error, which the call clears; 0 for none. */
export function socketError(fd: number): number {
  length[0] = 4;
  if (libc.getsockopt(fd, SOL_SOCKET, SO_ERROR, addressOf(integer), addressOf(length)) < 0) {
    throw impossible("getsockopt", errno());
  }
  return integer[0]!;
}

/** The address that a socket is bound to. */
export function localAddress(fd: number): SocketAddress {
  length[0] = address.length;
  if (libc.getsockname(fd, addressOf(address), addressOf(length)) < 0)
    throw impossible("getsockname", errno());
  return decodeSockaddr(address, length[0]!);
}

export function isUnixSocket(fd: number): boolean {
  length[0] = address.length;
  if (libc.getsockname(fd, addressOf(address), addressOf(length)) < 0) return false;
  return address[0] === AF_UNIX;
}

/**
 * A non-blocking duplicate of a stream socket, with FD_CLOEXEC. O_NONBLOCK belongs to the open file, so the original has it
 * too from here on.
 */
export function duplicate(fd: number): number {
  length[0] = 4;
  const known =
    libc.getsockopt(fd, SOL_SOCKET, SO_TYPE, addressOf(integer), addressOf(length)) === 0;
  if (!known || integer[0] !== SOCK_STREAM) {
    throw new ProxyError("ERR_ENGINE", `descriptor ${fd} is not a stream socket`);
  }
  const copy = libc.fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) {
    throw new ProxyError("ERR_ENGINE", `descriptor ${fd} cannot be taken: ${errnoText(errno())}`);
  }
  libc.fcntl(copy, F_SETFL, libc.fcntl(copy, F_GETFL, 0) | O_NONBLOCK);
  return copy;
}

/** Both or neither. @throws ProxyError ERR_ENGINE */
export function duplicatePair(fds: readonly [number, number]): [number, number] {
  const first = duplicate(fds[0]);
  try {
    return [first, duplicate(fds[1])];
  } catch (error) {
    libc.close(first);
    throw error;
  }
}

/** Whether a TCP handshake that this side began is under way; it may not even have sent its SYN (Fast Open). */
export function isHandshaking(fd: number): boolean {
  length[0] = 4;
  const state = addressOf(integer);
  const known = libc.getsockopt(fd, IPPROTO_TCP, TCP_INFO, state, addressOf(length)) === 0;
  return known && (integer[0]! & 0xff) === TCP_SYN_SENT;
}

/**
 * Urgent data (tcp(7)) stays in the stream: a byte that is not in line is skipped by the next read. Accepted sockets inherit
 * it from the listening one.
 */
export function keepUrgentInline(fd: number): void {
  setInteger(fd, SOL_SOCKET, SO_OOBINLINE, 1);
}

/**
 * O_NONBLOCK belongs to the open file, which workers and processes may share, and io_uring wants it off. An accept4 that
 * finds it off, and the queue emptied by another, must not wait for the next client. Accepted sockets inherit the timeout,
 * where it means nothing: nobody waits in a receive.
 */
export function acceptBriefly(fd: number): void {
  libc.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, addressOf(SHORTEST), SHORTEST.byteLength);
}

/** Whether urgent data (tcp(7)) waits to be read, or is being waited for. */
export function hasUrgent(fd: number): boolean {
  asked[0] = fd;
  asked[1] = EPOLLPRI; // POLLPRI is the same bit (poll(2))
  return libc.poll(addressOf(asked), 1, 0) > 0 && ((asked[1]! >>> 16) & EPOLLPRI) !== 0;
}

/** Whether the connection is over in both directions, or has an error that was not read yet. */
export function hasHungUp(fd: number): boolean {
  asked[0] = fd;
  asked[1] = 0; // POLLERR and POLLHUP are told without being asked for
  return libc.poll(addressOf(asked), 1, 0) > 0;
}

/** Whether the peer has ended its direction, also behind bytes that were not read yet. */
export function hasEnded(fd: number): boolean {
  asked[0] = fd;
  asked[1] = EPOLLRDHUP; // POLLRDHUP is the same bit
  return libc.poll(addressOf(asked), 1, 0) > 0;
}

/** Whether calls on this open file wait (fcntl(2), O_NONBLOCK). */
export function setBlocking(fd: number, blocking: boolean): void {
  const flags = libc.fcntl(fd, F_GETFL, 0);
  libc.fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

/** Raises the soft limit of descriptors to the hard one, as a server must. @returns the limit that holds then. */
export function raiseDescriptorLimit(): number {
  if (libc.getrlimit(RLIMIT_NOFILE, addressOf(limits)) < 0) throw impossible("getrlimit", errno());
  const [soft = 0n, hard = 0n] = limits;
  if (soft === hard) return Number(hard);
  limits[0] = hard;
  return Number(libc.setrlimit(RLIMIT_NOFILE, addressOf(limits)) < 0 ? soft : hard);
}

/** The soft limit as it is; 0 if it cannot be told. RLIM_INFINITY does not fit a double exactly, and need not. */
export function softDescriptorLimit(): number {
  return libc.getrlimit(RLIMIT_NOFILE, addressOf(limits)) < 0 ? 0 : Number(limits[0]);
}
