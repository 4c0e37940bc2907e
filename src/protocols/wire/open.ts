// How wires come to be: the same shape for sockets in clear (plain.ts) and for TLS (tls.ts), on both sides. No promise, and no
// exception for what the network does: errors arrive in the callbacks.

import type { SocketAddress } from "../../shared/address.ts";
import type { SocketPlan } from "../../shared/plan.ts";
import type { Peer } from "../live-rows.ts";
import type { Introduction } from "./introductions.ts";
import type { Watermarks, Wire } from "./wire.ts";

/**
 * Sets options on a TCP socket; the worker gives it, since protocols make no system calls, and warns of what cannot be had.
 * TCP_FASTOPEN_CONNECT is not among those of a target: a wire is told as connected when it is.
 */
export type SetSocketOptions = (
  fd: number,
  options: Partial<SocketPlan>,
  role: "listener" | "accepted" | "target",
) => void;

export interface WireListenOptions<Ticket> {
  readonly address: SocketAddress;
  /** A socket that listens there already, and is the server's from here on; none: the address is to be bound. */
  readonly fd?: number | undefined;
  /** SO_REUSEPORT: several workers bind the same address. */
  readonly reusePort: boolean;
  /** Fail if another process holds the address, even one that would share it. */
  readonly exclusive: boolean;
  readonly socket: SocketPlan;
  readonly setOptions: SetSocketOptions;
  readonly watermarks: Watermarks;
  /**
   * Somebody connected; nothing has been read and nothing allocated. @returns null to turn the client away at once (RST).
   * Whatever else is returned comes back in exactly one of the two calls below.
   */
  onAccept(peer: Peer, fd: number): Ticket | null;
  /**
   * What the client is to say in clear before its wire begins; null where it says nothing of the kind. Linux only.
   */
  readonly introduce?: Introduce<Ticket> | null;
  /** The wire is ready: the handshake is over. Its handler must be set before this returns; it is not paused. */
  onWire(wire: Wire, ticket: Ticket): void;
  /** The introduction or the handshake failed or timed out, or the client left during it. */
  onRefused(ticket: Ticket, error: Error & { code?: string }): void;
}

export interface Introduce<Ticket> {
  /** Clients without a byte are not accepted for this long, where the system can wait for them. */
  readonly waitMs: number;
  of(ticket: Ticket): Introduction;
}

export interface WireServer {
  /** With the port that the system chose. */
  readonly address: SocketAddress;
  /** Accepts nobody any more. Wires stay, and handshakes go on. */
  close(): void;
  /** Resets those whose introduction or handshake goes on, without an event: nobody waits for their tickets any more. */
  abort(): void;
}

export interface WireConnectOptions {
  readonly address: SocketAddress;
  readonly socket: SocketPlan;
  readonly setOptions: SetSocketOptions;
  readonly watermarks: Watermarks;
}

/** Called once, and not before the call that began it returned. The handler of the wire must be set before it returns. */
export type Connected = (wire: Wire | null, error: (Error & { code?: string }) | null) => void;

export interface Connecting {
  /** `Connected` is not called any more; what connects all the same is closed. */
  cancel(): void;
}
