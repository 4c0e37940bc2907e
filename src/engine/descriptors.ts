// How many connections the descriptor limit (getrlimit(2), RLIMIT_NOFILE) allows, and what to say when that is too few.

import { RELAY } from "../shared/limits.ts";
import type { OpenRequest } from "../shared/messages.ts";
import { reportedDescriptors } from "../shared/reported-descriptors.ts";
import type { EngineHost } from "./engine.ts";
import { softDescriptorLimit } from "./linux/sockets.ts";

/** Kept for listeners, pipes, logs and the runtime; a small limit is not used up by the reserve alone. */
export function descriptorReserve(limit: number): number {
  return Math.min(RELAY.descriptorReserve, Math.floor(limit / 4));
}

/** The client's and the target's. */
const DESCRIPTORS_EACH = 2;
/** A mirror adds its own, and a pipe's two while something is queued. */
const MIRRORED_EACH = 5;

/** @param each how many descriptors a connection takes. */
export function connectionsWithin(limit: number, each = DESCRIPTORS_EACH): number {
  return Math.min(RELAY.rowsMax, fittingInto(limit - descriptorReserve(limit), each));
}

/** Of all workers together: descriptors are the process's. @param workers that it may have. */
export function connectionsOfProcess(limit: number, workers: number): number {
  const own = Math.min(workers * RELAY.descriptorsOfWorker, Math.floor(limit / 4));
  return fittingInto(limit - descriptorReserve(limit) - own, DESCRIPTORS_EACH);
}

function fittingInto(descriptors: number, each: number): number {
  return Math.max(1, Math.floor(descriptors / each));
}

/** Warns, once for each listener, when the descriptor limit is reached before max_connections is. */
export function warnIfTooFew(
  host: Pick<EngineHost, "emit">,
  request: OpenRequest,
  limit: number,
  each = DESCRIPTORS_EACH,
): void {
  const { listener } = request;
  const { key, limits } = listener;
  if (listener.protocol === "tcp" && listener.mirror !== null) each = MIRRORED_EACH;
  const fitting = connectionsWithin(limit, each);
  if (!request.exclusive || limits.maxConnections <= fitting) return;
  const needed = limits.maxConnections * each + RELAY.descriptorReserve;
  const message =
    `max_connections ${limits.maxConnections} needs ${needed} descriptors and the limit is ${limit}, which is enough ` +
    `for ${fitting} connections: raise it (ulimit -n ${needed}, or LimitNOFILE of the service)`;
  host.emit({ type: "warning", key, message });
}

/** How many descriptors the process may hold; Windows has no such limit. */
export function descriptorLimit(): number {
  const limit = process.platform === "linux" ? softDescriptorLimit() : reportedDescriptors();
  return limit > 0 ? Math.min(limit, 2 * RELAY.rowsMax) : 2 * RELAY.rowsMax;
}
