// What each error number means to the relay, per operation. A number that is not listed for its operation is a bug of ours
// (a wrong descriptor, a wrong address) and ends the worker, which is then replaced: going on could corrupt a stream.
//
//              recv, splice in     send, splice out    accept4                 connect (or SO_ERROR)   shutdown
//   EAGAIN     source is drained   sink is full        queue is empty          (unix) backlog is full  -
//   EINTR      again               again               again                   in progress             again
//   peer gone  reset the pair      reset the pair      skip this client        try the next address    reset the pair
//   no memory  reset the pair      reset the pair      pause accepting         try the next address    -
//   EMFILE     -                   -                   pause accepting         (socket) refuse         -

import { errnoText } from "../../ffi/errno.ts";
import * as E from "../../ffi/errno.ts";
import { ProxyError } from "../../shared/errors.ts";

/** The other end is gone, or the path to it: what arrives is an error where data was expected. */
const PEER_GONE = [
  E.ECONNRESET,
  E.EPIPE,
  E.ETIMEDOUT, // keepalive or retransmission gave up
  E.EHOSTUNREACH,
  E.EHOSTDOWN,
  E.ENETUNREACH,
  E.ENETDOWN,
  E.ECONNREFUSED, // a Fast Open connect reports here
  E.ECONNABORTED,
  E.ENOTCONN, // a Fast Open connect that failed before its first byte
  E.EPROTO,
];
const NO_MEMORY = [E.ENOMEM, E.ENOBUFS];
const NO_DESCRIPTOR = [E.EMFILE, E.ENFILE];

/** recv(2), send(2) and splice(2): what resets the pair; EAGAIN and EINTR are handled where they occur. */
const TRANSFER_RESETS = new Set([...PEER_GONE, ...NO_MEMORY]);

/** accept(2): errors of a connection that died in the queue, or of the network; the next one may be fine. */
const ACCEPT_SKIPS = new Set([E.EINTR, E.EPERM, ...PEER_GONE]);
/** accept(2): nothing can be accepted until something is freed. */
const ACCEPT_PAUSES = new Set([...NO_DESCRIPTOR, ...NO_MEMORY]);

/** connect(2): this address does not answer; another may. */
const CONNECT_FAILS = new Set([
  ...PEER_GONE,
  ...NO_MEMORY,
  E.EADDRNOTAVAIL, // no local port left
  E.EADDRINUSE,
  E.EAGAIN, // a unix socket whose backlog is full
  E.ENOENT, // a unix socket that does not exist
  E.EACCES,
  E.EPERM, // a firewall rule
  E.EINVAL, // an address that this machine has no route for (IPv6 link-local without a zone)
  97, // EAFNOSUPPORT: no IPv6 here
  20, // ENOTDIR: part of a unix path is a file
  40, // ELOOP
  91, // EPROTOTYPE: a unix socket of another type
]);

export function assertTransferReset(operation: string, errno: number): void {
  if (!TRANSFER_RESETS.has(errno)) throw impossible(operation, errno);
}

export function acceptOutcome(errno: number): "empty" | "skip" | "pause" {
  if (errno === E.EAGAIN) return "empty";
  if (ACCEPT_SKIPS.has(errno)) return "skip";
  if (ACCEPT_PAUSES.has(errno)) return "pause";
  throw impossible("accept4", errno);
}

export function assertConnectFailure(errno: number): void {
  if (!CONNECT_FAILS.has(errno)) throw impossible("connect", errno);
}

export function isOutOfDescriptors(errno: number): boolean {
  return NO_DESCRIPTOR.includes(errno);
}

export function impossible(operation: string, errno: number): ProxyError {
  return new ProxyError("ERR_SYSTEM", `${operation} failed with ${errnoText(errno)}`);
}
