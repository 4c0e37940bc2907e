// Opens listening sockets, with errors that say which address, why, and what to do. The first worker that binds an address
// makes sure that it has it alone: with SO_REUSEPORT a second proxy would otherwise share the port without a word.

import * as E from "../../ffi/errno.ts";
import { isBoundTo } from "../../ffi/inherited.ts";
import { errno, libc } from "../../ffi/libc.ts";
import {
  AF_INET6,
  AF_UNIX,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOL_SOCKET,
  TCP_DEFER_ACCEPT,
} from "../../ffi/linux.ts";
import { addressOf } from "../../ffi/memory.ts";
import { encodeSockaddr } from "../../ffi/sockaddr.ts";
import { formatSocketAddress, type SocketAddress } from "../../shared/address.ts";
import { RELAY } from "../../shared/limits.ts";
import { listenError } from "../../shared/listen-error.ts";
import type { BindRequest } from "../../shared/messages.ts";
import { removeStaleSocket } from "../stale-socket.ts";
import { duplicate, localAddress, setInteger, streamSocket } from "./sockets.ts";

/** The wildcard of both families, and what serves where there is no IPv6. */
const ANY = { both: "::", v4: "0.0.0.0" } as const;

export interface Bindings {
  /** Listening descriptors; several for an address of which several are inherited. */
  readonly fds: number[];
  /** In the order of `binds`. */
  readonly bound: SocketAddress[];
}

/**
 * Opens every address of the request.
 * @param prepare sets socket options before listen(2), which accepted sockets inherit.
 * @throws ProxyError ERR_LISTEN; nothing stays open.
 */
export function bindAll(
  request: BindRequest,
  prepare: (fd: number, family: number) => void,
): Bindings {
  if (request.sharedFds.length > 0) {
    const fds: number[] = [];
    try {
      for (const fd of request.sharedFds) fds.push(duplicate(fd));
    } catch (error) {
      for (const fd of fds) libc.close(fd);
      throw error;
    }
    return { fds, bound: fds.map(localAddress) };
  }
  const fds: number[] = [];
  const bound: SocketAddress[] = [];
  try {
    for (const [i, bind] of request.binds.entries()) {
      const inherited = (request.inherited[i] ?? []).map((fd) => adopt(fd, fds, prepare));
      // Others are on addresses that this one covers.
      const same = inherited.find((fd) => isBoundTo(fd, bind));
      if (same !== undefined) {
        bound.push(boundAs(bind, localAddress(same)));
        continue;
      }
      // Addresses of one name share the port that the system chose for the first.
      const first = bound[0];
      const wanted =
        bind.kind === "ip" && bind.port === 0 && first?.kind === "ip"
          ? { ...bind, port: first.port }
          : bind;
      const fd = openOne(wanted, request, prepare);
      fds.push(fd);
      bound.push(boundAs(wanted, localAddress(fd)));
    }
  } catch (error) {
    for (const fd of fds) libc.close(fd);
    throw error;
  }
  return { fds, bound };
}

/** Its sockets cannot be bound a second time: the control plane is to keep duplicates of them, for other workers. */
export function isKept({ sharedFds, keep, listener }: BindRequest): boolean {
  return sharedFds.length === 0 && (keep || listener.listen.kind === "unix");
}

/** A socket that is bound and listens already. `fds` gets the duplicate at once, so that a failure closes it. */
function adopt(
  inherited: number,
  fds: number[],
  prepare: (fd: number, family: number) => void,
): number {
  const fd = duplicate(inherited);
  fds.push(fd);
  const { family } = encodeSockaddr(localAddress(fd));
  // Whoever had it before may have waited for first bytes; a listener that waits for them says so itself.
  if (family !== AF_UNIX) setInteger(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0);
  prepare(fd, family);
  return fd;
}

/** The wildcard of both families stays written as it was, so that another worker binds it in the same way. */
function boundAs(wanted: SocketAddress, local: SocketAddress): SocketAddress {
  if (wanted.kind === "unix" || local.kind === "unix") return wanted;
  return { kind: "ip", host: wanted.host, port: local.port };
}

function openOne(
  address: SocketAddress,
  request: BindRequest,
  prepare: (fd: number, family: number) => void,
): number {
  if (address.kind === "unix") removeStaleSocket(address.path);
  let wanted = address;
  if (request.reusePort && request.exclusive && !request.beside) {
    const probe = bindOne(address, false);
    wanted = boundAs(address, localAddress(probe.fd));
    libc.close(probe.fd);
  }
  const { fd, family } = bindOne(wanted, request.reusePort || request.beside);
  prepare(fd, family);
  if (libc.listen(fd, RELAY.listenBacklog) < 0) {
    const error = errno();
    libc.close(fd);
    throw refused(wanted, error);
  }
  return fd;
}

function bindOne(address: SocketAddress, reusePort: boolean): { fd: number; family: number } {
  if (address.kind === "ip" && address.host === "") {
    const both = tryBind({ ...address, host: ANY.both }, reusePort, false);
    if (both.fd >= 0) return both;
    const noIPv6 = both.error === 97 || both.error === E.EADDRNOTAVAIL; // EAFNOSUPPORT
    if (!noIPv6) throw refused(address, both.error);
    return bindOne({ ...address, host: ANY.v4 }, reusePort);
  }
  const bound = tryBind(address, reusePort, true);
  if (bound.fd < 0) throw refused(address, bound.error);
  return bound;
}

function tryBind(
  address: SocketAddress,
  reusePort: boolean,
  v6only: boolean,
): { fd: number; family: number; error: number } {
  const { family, bytes } = encodeSockaddr(address);
  const fd = streamSocket(family);
  if (fd < 0) return { fd: -1, family, error: -fd };
  if (family !== AF_UNIX) setInteger(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (family === AF_INET6) setInteger(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only ? 1 : 0);
  if (reusePort) setInteger(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (libc.bind(fd, addressOf(bytes), bytes.length) < 0) {
    const error = errno();
    libc.close(fd);
    return { fd: -1, family, error };
  }
  return { fd, family, error: 0 };
}

function refused(address: SocketAddress, error: number): Error {
  return listenError(formatSocketAddress(address), E.errnoName(error));
}
