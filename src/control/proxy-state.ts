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

/** How strained it is. */
export interface ProxyHealth {
  /** How late its threads were at worst within the last second, which is what everything else in them waited. */
  readonly lagMs: {
    readonly control: number;
    readonly workers: readonly { readonly index: number; readonly lagMs: number }[];
  };
  /** Why new work is turned away at this moment. */
  readonly overloaded: readonly OverloadReason[];
}

export const OVERLOAD_REASONS = ["lag", "memory", "descriptors"] as const;
export type OverloadReason = (typeof OVERLOAD_REASONS)[number];

export interface Overload {
  readonly reason: OverloadReason;
  /** With figures, for people. */
  readonly detail: string;
  /** Most of what is new is served: by other workers of the kind, or since turning it away gains nothing any more. */
  readonly partial: boolean;
}

export interface ProxyConnection extends LiveConnection {
  readonly worker: number;
  /** ListenerPlan.key; empty for an adopted pair. */
  readonly listener: string;
}
