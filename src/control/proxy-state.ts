// What a proxy tells of itself: counters and live connections, as they were at one moment. Plain data.

import type { ListenerStats } from "../shared/counters.ts";
import type { LiveConnection } from "../shared/live-table.ts";

export interface ProxyStats {
  readonly uptimeMs: number;
  /** Workers that crashed and were replaced. */
  readonly workerRestarts: number;
  /** By ListenerPlan.key. */
  readonly listeners: Readonly<Record<string, ListenerStats>>;
}

export interface ProxyConnection extends LiveConnection {
  readonly worker: number;
  /** ListenerPlan.key; empty for an adopted pair. */
  readonly listener: string;
}
