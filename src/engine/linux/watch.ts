// What the acceptor, the connector and the connections need of the engine around them: to be told of clients that wait and of
// targets that answered, and to end what is under way. Readiness (epoll) and completion (io_uring) differ only behind this.

import type { Sockaddr } from "../../ffi/sockaddr.ts";
import type { OpenListener } from "./acceptor.ts";

export interface Watch {
  /** SOCK_NONBLOCK, or 0 where the kernel does the waiting: it does not wait on a socket that does not block. */
  readonly socketFlags: number;
  /** Begins to tell the acceptor of clients on one of the listener's sockets. */
  watchListener(fd: number, listener: OpenListener): void;
  /** Stops telling, before the socket is closed or while the listener rests. */
  unwatchListener(fd: number, listener: OpenListener): void;
  /** A client was accepted into this row, CONNECTING. @returns 0, or the error number if it cannot be watched. */
  watchClient(row: number): number;
  /**
   * The row is ARRIVING: the engine calls `readable` of the first bytes when the client has sent something, until it is in
   * another state.
   */
  watchArrival(row: number): void;
  /**
   * Connects the new socket of a row to its target; the engine calls the connector's `connected` or `failed` later.
   * @returns 0, or the error number of a failure that is known at once. The socket stays the caller's then.
   */
  startConnect(row: number, fd: number, target: Sockaddr): number;
  /** The attempt takes too long: ends it; the connector's `failed` is called with ETIMEDOUT, now or later. */
  abandonConnect(row: number): void;
  /** Both sockets of the row are connected and it is OPEN: bytes may flow. */
  startRelay(row: number): void;
  /**
   * Ends every operation of the kernel on the row's sockets, so that they can be closed.
   * @returns whether none is left now; if not, the engine calls `finishClose` of the connections when that is so.
   */
  quiesce(row: number): boolean;
}
