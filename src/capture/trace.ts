// What a capture makes of a connection's events: bytes for its output. A format is pure but for the clock and the chance that it
// is given; tap.ts and relay.ts tell it what happens, sink.ts writes what it returns.

import type { Addr } from "../library/addr.ts";

/** From the client to the target, and back. */
export type Way = "up" | "down";

/** A client that was accepted. */
export interface Visit {
  /** Counted from 1. */
  readonly number: number;
  readonly client: Addr;
  /** The address that the client connected to. */
  readonly proxy: Addr;
  /** As the user wrote it. */
  readonly target: string;
}

/** The events of one connection, in their order; each returns what they add to the output, possibly nothing. */
export interface Trace {
  opened(): Uint8Array;
  /** @param target its address. */
  connected(target: string): Uint8Array;
  /** Up: bytes that the proxy has read. Down: bytes that the client is about to get. */
  data(way: Way, chunk: Uint8Array): Uint8Array;
  /** The system has taken for the client what came down. */
  delivered(): Uint8Array;
  /** No more bytes this way. */
  ended(way: Way): Uint8Array;
  /** Up: the client has reset the connection. Down: the proxy has. After it there is only `closed`. */
  reset(way: Way, reason: string): Uint8Array;
  closed(): Uint8Array;
}

export interface Format {
  /** What the output begins with. */
  readonly head: Uint8Array;
  trace(visit: Visit): Trace;
}

/** Nanoseconds since 1970-01-01 UTC. */
export type Clock = () => bigint;

const ORIGIN = BigInt(Math.round(performance.timeOrigin * 1e6));

/** The time of day at the start, and from there a clock that nobody sets. */
export const clock: Clock = () => ORIGIN + BigInt(Math.round(performance.now() * 1e6));
