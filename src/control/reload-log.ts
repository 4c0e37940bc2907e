// What became of the last reloads, and of all of them in numbers. Written by the admin listener when the reloader tells, read
// by its API and by metrics.

import { ADMIN } from "../shared/limits.ts";
import type { PlanDiff } from "./diff.ts";

/** Who asked for the configuration to be read. */
export type ReloadCause = "signal" | "file" | "api" | "start";

/** What was different, as plain data: plans are let go. */
export interface PlanChanges {
  readonly added: string[];
  readonly removed: string[];
  readonly changed: { listener: string; parts: string[] }[];
  readonly unchanged: number;
  readonly settings: string[];
  readonly deferred: string[];
}

export interface ReloadEntry {
  /** Unix time. */
  readonly atMs: number;
  readonly cause: ReloadCause;
  readonly taken: boolean;
  /** null: it was taken. */
  readonly error: string | null;
  /** null: it was not taken, or is the start. */
  readonly changes: PlanChanges | null;
}

export class ReloadLog {
  readonly #entries: ReloadEntry[] = [];

  taken(cause: ReloadCause, diff: PlanDiff | null, atMs: number): void {
    const changes = diff === null ? null : changesOf(diff);
    this.#add({ atMs, cause, taken: true, error: null, changes });
  }

  refused(cause: ReloadCause, reason: string, atMs: number): void {
    const error =
      reason.length > ADMIN.eventMaxBytes ? `${reason.slice(0, ADMIN.eventMaxBytes)}…` : reason;
    this.#add({ atMs, cause, taken: false, error, changes: null });
  }

  #add(entry: ReloadEntry): void {
    this.#entries.unshift(entry);
    if (this.#entries.length > ADMIN.reloadsMax) this.#entries.pop();
  }

  /** Newest first. */
  newest(limit: number): ReloadEntry[] {
    return this.#entries.slice(0, limit);
  }
}

export function changesOf(diff: PlanDiff): PlanChanges {
  return {
    added: diff.added.map(({ key }) => key),
    removed: diff.removed.map(({ key }) => key),
    changed: diff.changed.map(({ after, parts }) => ({ listener: after.key, parts: [...parts] })),
    unchanged: diff.unchanged.length,
    settings: [...diff.settings],
    deferred: [...diff.deferred],
  };
}
