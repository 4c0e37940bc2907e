// How many connections the descriptor limit (getrlimit(2), RLIMIT_NOFILE) allows, and what to say when that is too few.

import { RELAY } from "../shared/limits.ts";
import type { OpenRequest } from "../shared/messages.ts";
import type { EngineHost } from "./engine.ts";

/** Kept for listeners, pipes, logs and the runtime; a small limit is not used up by the reserve alone. */
export function descriptorReserve(limit: number): number {
  return Math.min(RELAY.descriptorReserve, Math.floor(limit / 4));
}

/** A connection takes two descriptors: the client's and the target's. */
export function connectionsWithin(limit: number): number {
  const fitting = Math.floor((limit - descriptorReserve(limit)) / 2);
  return Math.max(1, Math.min(RELAY.rowsMax, fitting));
}

/** Warns, once for each listener, when the descriptor limit is reached before max_connections is. */
export function warnIfTooFew(
  host: Pick<EngineHost, "emit">,
  request: OpenRequest,
  limit: number,
): void {
  const { key, limits } = request.listener;
  const fitting = connectionsWithin(limit);
  if (!request.exclusive || limits.maxConnections <= fitting) return;
  const needed = limits.maxConnections * 2 + RELAY.descriptorReserve;
  const message =
    `max_connections ${limits.maxConnections} needs ${needed} descriptors and the limit is ${limit}, which is enough ` +
    `for ${fitting} connections: raise it (ulimit -n ${needed}, or LimitNOFILE of the service)`;
  host.emit({ type: "warning", key, message });
}
