// Descriptors that a process was started with: what they are, and whether they are the socket that a listener wants. Linux
// only. Called by the control plane, before any worker has them.

import { fstatSync } from "node:fs";

import type { SocketAddress } from "../shared/address.ts";
import { libc } from "./libc.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  F_SETFD,
  FD_CLOEXEC,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SO_ACCEPTCONN,
  SO_PEERCRED,
  SO_REUSEPORT,
  SO_TYPE,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
} from "./linux.ts";
import { addressOf, pinnedBytes, pinnedInt32 } from "./memory.ts";
import { decodeSockaddr, encodeSockaddr, SOCKADDR_MAX_BYTES } from "./sockaddr.ts";

const integer = pinnedInt32(1);
const length = pinnedInt32(1);
/** struct ucred { pid_t pid; uid_t uid; gid_t gid; } */
const credentials = pinnedInt32(3);
const name = pinnedBytes(SOCKADDR_MAX_BYTES);

/** Where the host begins in struct sockaddr_in and sockaddr_in6, and how long it is; the port is at 2. */
const HOST = { [AF_INET]: [4, 4], [AF_INET6]: [8, 16] } as const;

/** A program that is started from here on does not get it. fcntl(2) */
export function closeOnExec(fd: number): void {
  libc.fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/**
 * The address that a listening stream socket is bound to; both families at once is the empty host. null: it is nothing of
 * the kind.
 */
export function listeningAddress(fd: number): SocketAddress | null {
  const listens = getOption(fd, SOL_SOCKET, SO_ACCEPTCONN) === 1;
  if (!listens || getOption(fd, SOL_SOCKET, SO_TYPE) !== SOCK_STREAM || !readName(fd)) return null;
  const address = decodeSockaddr(name, length[0]!);
  return address.kind === "ip" && isBothFamilies(fd) ? { ...address, host: "" } : address;
}

/** The address that a UDP socket is bound to; both families at once is the empty host. null: it is nothing of the kind. */
export function datagramAddress(fd: number): SocketAddress | null {
  if (getOption(fd, SOL_SOCKET, SO_TYPE) !== SOCK_DGRAM || !readName(fd)) return null;
  const address = decodeSockaddr(name, length[0]!);
  if (address.kind === "unix") return null;
  return isBothFamilies(fd) ? { ...address, host: "" } : address;
}

/** Whether a listener on `wanted` would bind what this socket is bound to. Port 0 is any port. */
export function isBoundTo(fd: number, wanted: SocketAddress): boolean {
  if (!readName(fd)) return false;
  const family = name[0]!;
  if (wanted.kind === "unix") {
    const bound = decodeSockaddr(name, length[0]!);
    return family === AF_UNIX && bound.kind === "unix" && bound.path === wanted.path;
  }
  if (family !== AF_INET && family !== AF_INET6) return false;
  const port = (name[2]! << 8) | name[3]!;
  if (wanted.port !== 0 && wanted.port !== port) return false;
  const [at, bytes] = HOST[family];
  const host = name.subarray(at, at + bytes);
  // On a machine without IPv6, every address is 0.0.0.0.
  const any = host.every((byte) => byte === 0);
  if (wanted.host === "") return any && (family === AF_INET || isBothFamilies(fd));
  const sought = encodeSockaddr(wanted);
  if (sought.family !== family || (any && family === AF_INET6 && isBothFamilies(fd))) return false;
  return host.every((byte, i) => byte === sought.bytes[at + i]);
}

/** Whether this process can bind further sockets to its address: SO_REUSEPORT, of the same user (socket(7)). */
export function canBindBeside(fd: number): boolean {
  if (getOption(fd, SOL_SOCKET, SO_REUSEPORT) !== 1) return false;
  return fstatSync(fd).uid === process.geteuid?.();
}

/** From here on it can (`canBindBeside`), also beside one that was bound alone. */
export function shareAddress(fd: number): void {
  integer[0] = 1;
  libc.setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, addressOf(integer), 4);
}

/** The process that made this unix socket's pair (SO_PEERCRED, unix(7)); 0: it is no such thing. */
export function peerProcess(fd: number): number {
  length[0] = credentials.byteLength;
  const error = libc.getsockopt(
    fd,
    SOL_SOCKET,
    SO_PEERCRED,
    addressOf(credentials),
    addressOf(length),
  );
  return error < 0 ? 0 : credentials[0]!;
}

function isBothFamilies(fd: number): boolean {
  if (name[0] !== AF_INET6 || getOption(fd, IPPROTO_IPV6, IPV6_V6ONLY) !== 0) return false;
  return name.subarray(8, 24).every((byte) => byte === 0);
}

function readName(fd: number): boolean {
  length[0] = name.length;
  return libc.getsockname(fd, addressOf(name), addressOf(length)) === 0;
}

/** -1: there is none, since it is no socket. */
function getOption(fd: number, level: number, option: number): number {
  length[0] = 4;
  const result = libc.getsockopt(fd, level, option, addressOf(integer), addressOf(length));
  return result < 0 ? -1 : integer[0]!;
}
