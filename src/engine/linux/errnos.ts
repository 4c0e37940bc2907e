// What each error number means to the relay, per operation. The kernel hands on what the network tells it (ICMP, firewall rules,
// route changes, security modules), so nearly every number can occur; only those that say that we passed something wrong end
// the worker, which is then replaced: going on with a wrong descriptor or address could corrupt a stream.
//
//              recv, splice in     send, splice out    accept4                 connect (or SO_ERROR)   shutdown
//   EAGAIN     source is drained   sink is full        queue is empty          (unix) backlog is full  -
//   EINTR      again               again               again                   in progress             again
//   EBADF      worker ends         worker ends         worker ends             worker ends             worker ends
//   EFAULT, ENOTSOCK: as EBADF
//   EMFILE     -                   -                   pause accepting         (socket) refuse         -
//   no memory  reset the pair      reset the pair      pause accepting         try the next address    -
//   no port    -                   -                   -                       try the next address    -
//   others     reset the pair      reset the pair      skip this client        try the next address    reset the pair
//
// Of a connect, no memory and no port (EADDRNOTAVAIL) say nothing of the target (shared/shortage.ts); others count against it.

import * as E from "../../ffi/errno.ts";
import { errnoText } from "../../ffi/errno.ts";
import { ProxyError } from "../../shared/errors.ts";

/** Only a bug of ours can bring these. */
const OUR_FAULT = new Set([E.EBADF, E.EFAULT, E.ENOTSOCK]);
const NO_DESCRIPTOR = new Set([E.EMFILE, E.ENFILE]);
/** accept(2): nothing can be accepted until something is freed. */
const ACCEPT_PAUSES = new Set([...NO_DESCRIPTOR, E.ENOMEM, E.ENOBUFS]);
/** accept(2): not a listening socket, or not a socket that can listen. */
const ACCEPT_OUR_FAULT = new Set([...OUR_FAULT, E.EINVAL]);

/** The failure of a transfer resets its pair. @throws if it is our fault. */
export function assertTransferReset(operation: string, errno: number): void {
  if (OUR_FAULT.has(errno)) throw impossible(operation, errno);
}

/** EINPROGRESS: a Fast Open connect whose bytes did not fit into the SYN. */
export function isSinkFull(errno: number): boolean {
  return errno === E.EAGAIN || errno === E.EINPROGRESS;
}

export function acceptOutcome(errno: number): "empty" | "skip" | "pause" {
  if (errno === E.EAGAIN) return "empty";
  if (ACCEPT_PAUSES.has(errno)) return "pause";
  if (ACCEPT_OUR_FAULT.has(errno)) throw impossible("accept4", errno);
  return "skip";
}

/** The failure of a connect fails its address. @throws if it is our fault. */
export function assertConnectFailure(errno: number): void {
  if (OUR_FAULT.has(errno)) throw impossible("connect", errno);
}

export function isOutOfDescriptors(errno: number): boolean {
  return NO_DESCRIPTOR.has(errno);
}

export function impossible(operation: string, errno: number): ProxyError {
  return new ProxyError("ERR_SYSTEM", `${operation} failed with ${errnoText(errno)}`);
}
