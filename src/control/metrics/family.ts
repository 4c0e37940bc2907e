// A family of metrics: a name, what it counts, and how its values are read from what is known at one moment. Called by the
// files of families beside this one, which are tables, and by metrics.ts, which reads them.

import type { ListenerStats } from "../../shared/counters.ts";
import type { ListenerPlan } from "../../shared/plan.ts";
import type { CertificateStatus } from "../acme/status.ts";
import type { Reloads } from "../admin/health.ts";
import type { CertificateExpiry } from "../certificates/certificates.ts";
import type { OverloadReason } from "../proxy-state.ts";
import type { ListedTarget } from "../targets.ts";

export interface ListenerReading {
  readonly plan: ListenerPlan;
  readonly stats: ListenerStats;
  /** Those that clients are sent to now. */
  readonly targets: readonly TargetReading[];
  /** Workers that accept on it. */
  readonly workers: number;
}

export interface TargetReading extends Pick<ListedTarget, "name" | "weight" | "mode"> {
  readonly route: string;
}

/** What all values of one scrape are read from. */
export interface Reading {
  readonly listeners: readonly ListenerReading[];
  readonly certificates: readonly CertificateStatus[];
  readonly certificateFiles: readonly CertificateExpiry[];
  /** That are up, by kind. */
  readonly workers: Readonly<Record<"relay" | "gateway", number>>;
  readonly workerRestarts: number;
  readonly ready: boolean;
  readonly reloads: Readonly<Reloads>;
  /** The configuration on disk is what is served. */
  readonly taken: boolean;
  /** How late threads were at worst within the last second: `control`, and workers by their numbers. */
  readonly lagMs: Readonly<Record<string, number>>;
  /** Why new work is turned away. */
  readonly overloaded: readonly OverloadReason[];
  readonly process: ProcessReading;
}

export interface ProcessReading {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly startedMs: number;
  /** null where the system does not say. */
  readonly descriptors: number | null;
  readonly descriptorsMax: number | null;
}

/** The values of a family's labels, in their order, and the value. Several of the same labels are added up. */
export type Sample = readonly [labels: readonly string[], value: number];

export interface Family {
  /** Counters end in `_total`; units are in the name (prometheus.io, Metric and label naming). */
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly labels: readonly string[];
  /** Its name is a convention of all programs, and takes no prefix. */
  readonly bare?: boolean;
  read(reading: Reading): Iterable<Sample>;
}

/** Of one route of requests. */
export interface Distribution {
  readonly labels: { readonly listener: string; readonly route: string };
  /** By their upper bounds in seconds, `+Inf` last, each with those below it. */
  readonly buckets: readonly (readonly [le: string, count: number])[];
  readonly sum: number;
  readonly count: number;
}
