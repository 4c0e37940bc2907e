// What the workers of one listener count together of its clients: max_per_ip and accept_rate, in shared memory. A worker that
// is gone cannot count its clients out any more, so that is done here. Called by listener.ts.

import { ClientCounts, clientCountsBytes, clientCountsMemory } from "../l4/client-counts.ts";
import { bucketMemory } from "../l4/token-buckets.ts";
import { IP_BYTES } from "../shared/ip.ts";
import { BOUNDS } from "../shared/limits.ts";
import type { LiveTable } from "../shared/live-table.ts";
import type { ListenerPlan } from "../shared/plan.ts";

export class Admissions {
  /** Layout in l4/client-counts.ts; null without max_per_ip. Memory is taken as addresses fall into it. */
  readonly clients: SharedArrayBuffer | null;
  /** One bucket of l4/token-buckets.ts; null without accept_rate. */
  readonly accepts: SharedArrayBuffer | null;

  /** @param before of the listener that this one replaces, whose clients are still counted, unless there may be more now. */
  constructor(plan: ListenerPlan, before?: Admissions) {
    const { maxConnections, maxPerIp, acceptRate } = plan.limits;
    const wanted = maxConnections > 0 ? maxConnections : BOUNDS.maxConnectionsMax;
    const clientsMax = Math.max(wanted, BOUNDS.clientsCountedMin);
    const [seed = 0] = crypto.getRandomValues(new Int32Array(1));
    const counted = before?.clients ?? null;
    const fits = counted !== null && counted.byteLength >= clientCountsBytes(clientsMax);
    const own = (): SharedArrayBuffer => (fits ? counted : clientCountsMemory(clientsMax, seed));
    this.clients = maxPerIp > 0 ? own() : null;
    const bucket = before?.accepts ?? new SharedArrayBuffer(bucketMemory(1));
    this.accepts = acceptRate > 0 ? bucket : null;
  }

  /**
   * A worker is gone: its clients are not connected any more. Each is counted out once, should the worker's thread still run.
   * @param slot of the listener, see OpenRequest.
   */
  retire(live: LiveTable, slot: number): void {
    if (this.clients === null) return;
    const counts = new ClientCounts(this.clients);
    const ip = new Uint8Array(IP_BYTES);
    for (let row = 0; row < live.used; row++) {
      if (!live.isOpen(row) || live.slot[row] !== slot || !live.isCounted(row)) continue;
      live.setCounted(row, false);
      if (live.copyClientIp(row, ip)) counts.leave(ip);
    }
  }
}
