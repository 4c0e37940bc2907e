// How splice.ts finds the plain socket below a connection. A symbol, so that connections of a user's own do not have it by
// accident. Called by splice.ts; implemented by SocketConn and by ConnManager's wrapper.

import type { Conn } from "./conn.ts";
import type { SocketConn } from "./socket-conn.ts";

/** A connection with this method is, below, a plain socket with the very same bytes; null: not any more. */
export const HANDOVER = Symbol("bun-tunnel.handover");

export interface Handover {
  readonly socket: SocketConn;
  /** Milliseconds without a byte after which the connection is to be reset; 0: never. */
  readonly idleMs: number;
}

export function handoverOf(conn: Conn): Handover | null {
  return (conn as { [HANDOVER]?: () => Handover | null })[HANDOVER]?.() ?? null;
}
