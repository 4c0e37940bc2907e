// What a connection is. Everything in the library that moves bytes works on this interface, so a protocol of one's own may
// wrap a connection or make another kind of one. `socket-conn.ts` has the one that `listen` and `dial` return.

import type { Addr } from "./addr.ts";

/** A bidirectional byte stream whose two directions end independently. */
export interface Conn extends AsyncDisposable, AsyncIterable<Uint8Array> {
  readonly localAddr: Addr;
  readonly remoteAddr: Addr;

  /**
   * The descriptor, for socket options; null where there is none (Windows, wrapped connections, after the end). Do not
   * read, write or close it.
   */
  readonly fd: number | null;
  /** Bytes that came from the peer; while `forward` relays in the kernel, those of them that it has delivered. */
  readonly bytesRead: number;
  /** Bytes that the system has taken for the peer. */
  readonly bytesWritten: number;
  /** Resolves when the connection is over, however it ended. Never rejects. */
  readonly closed: Promise<void>;

  /**
   * The next bytes, or null after the peer's FIN. One call at a time.
   * @throws ProxyError `ERR_RESET` when the peer reset the connection, `ERR_CLOSED` after `close` or `reset`, `ERR_STATE` while
   *   another read waits or when the connection was given to `forward`.
   */
  read(): Promise<Uint8Array | null>;
  /** Puts bytes back: the next `read`, or a `forward`, sees them first. For protocols that look at the beginning. */
  unread(data: Uint8Array): void;

  /**
   * Sends bytes. Resolves when the system has taken all of them, so awaiting it is the backpressure; `data` must not be
   * changed before. Calls keep their order.
   * @throws ProxyError as `read`, and `ERR_CLOSED` after `closeWrite`.
   */
  write(data: Uint8Array | string): Promise<void>;
  /** Sends a FIN after everything written. The other direction goes on. Idempotent. */
  closeWrite(): Promise<void>;

  /** Takes nothing more from the system: the peer's TCP window fills. `read` returns what is here already, then waits. */
  pause(): void;
  resume(): void;

  /**
   * Sends everything written, then closes both directions. What was not read is lost, and a peer that is still sending gets a
   * reset (RFC 1122 section 4.2.2.13); to be sure that it read everything, `closeWrite` and read to the end first. Idempotent.
   */
  close(): Promise<void>;
  /** Ends both directions at once; the peer gets a reset (TCP RST). Idempotent. */
  reset(): void;
}

/** Accepts connections: `for await (const conn of listener)`. */
export interface Listener extends AsyncDisposable, AsyncIterable<Conn> {
  /** Where it is bound, with the port that the system chose for port 0. */
  readonly addr: Addr;
  /** The next connection, or null after `close`. */
  accept(): Promise<Conn | null>;
  /** Stops listening and resets connections that nobody accepted. Accepted ones go on. Idempotent. */
  close(): Promise<void>;
}

/** Sizes in which connections are read and relayed. */
export const BUFFER_SIZE_DEFAULT = 64 * 1024;
/** For high throughput: fewer system calls for each byte, more memory for each stalled connection. */
export const BUFFER_SIZE_LARGE = 256 * 1024;
