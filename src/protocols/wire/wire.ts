// A wire: a byte stream both ways, be it a TCP or unix socket or TLS over one. Protocols read and write wires and do not know
// what is below. Nothing here awaits: whoever writes is told at once whether to go on, and later when to go on.
//
// Invariant: `write` takes every byte. What the system does not take at once is the wire's own copy (`pending`), so the caller
// may use its memory again as soon as the call returns, and stops when `write` says false.

import type { Peer } from "../live-rows.ts";

/** What a wire tells its owner. Called from the event loop, never from within a call of the owner. */
export interface WireHandler {
  /** The bytes stay valid: they are the owner's. */
  onData(bytes: Uint8Array): void;
  /** `pending` fell to the low watermark after `write` had said false. */
  onDrain(): void;
  /** The peer sends no more (FIN, close_notify). The wire can still be written to. */
  onEnd(): void;
  /**
   * The wire is gone, and nothing follows. `error` says why, if not by `end` on both sides: its `code` is an errno's name,
   * or of TLS.
   */
  onClose(error: (Error & { code?: string }) | null): void;
}

export interface Wire {
  /** May be replaced at any time, for a protocol that is agreed upon later (ALPN, upgrades). */
  handler: WireHandler;
  /** The other end; all zero and port 0 for a unix socket. */
  readonly peer: Peer;
  /** Our end, where it is an address and the socket is open. */
  readonly local?: Peer | null;
  /** null in clear. */
  readonly tls: WireTls | null;
  /** Its descriptor; -1 where there is none, or the runtime does not show it. */
  readonly fd: number;
  /** Bytes that the system has not taken yet. */
  readonly pending: number;
  /** Bytes of the peer wait for our own limit of bandwidth: it is not the one that is slow. Absent: there is no limit. */
  readonly isHeldUp?: boolean;
  /** The same of bytes that go to it, while none wait for it to read. */
  readonly isHeldDown?: boolean;
  /**
   * @param bytes may be changed by the caller once this returns.
   * @returns false when `pending` has passed the high watermark: `onDrain` follows. After `reset` it says false.
   */
  write(bytes: Uint8Array): boolean;
  /** `write` of bytes [start, end), without an object for them. */
  writeRange(bytes: Uint8Array, start: number, end: number): boolean;
  /** FIN (over TLS: close_notify, then FIN) after what is pending. Reading goes on. */
  end(): void;
  /** RST, at once; nothing is told of it any more. */
  reset(): void;
  /** No more onData (but for what is on its way up) until `resume`. Also for a peer's end. */
  pause(): void;
  resume(): void;
}

/** What a handshake agreed upon. */
export interface WireTls {
  /** `h2`, `http/1.1`; empty if none was. */
  readonly alpn: string;
  /** What the client asked for, in lower case; empty if nothing. */
  readonly serverName: string;
  /** `TLSv1.3`. */
  readonly version: string;
  readonly cipher: string;
  readonly resumed: boolean;
  /** Of a client certificate that was asked for and verified: its subject as in RFC 4514; empty without one. */
  readonly clientSubject: string;
  /** Its SHA-256 fingerprint in lower-case hex; empty without one. */
  readonly clientFingerprint: string;
}

export interface Watermarks {
  /** `write` says false from here on. */
  readonly highBytes: number;
  /** `onDrain` comes at this many. */
  readonly lowBytes: number;
}
