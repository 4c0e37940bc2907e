// What a peer may do that costs more than it is worth, in budgets: each act spends one, time gives them back, and so does what
// a client of good faith does besides. A peer that has used a budget up is told ENHANCE_YOUR_CALM. Time is a parameter. Pure;
// called by the session.

import { H2 } from "../../../shared/limits.ts";
import type { Refusal } from "../../../shared/messages.ts";

/** Streams that ended before they were answered: cancelled, or reset for what the peer sent (CVE-2023-44487, CVE-2025-8671). */
export const RESETS = 0;
export const PINGS = 1;
/** Also acknowledgements that nobody waits for. */
export const SETTINGS_FRAMES = 2;
/** DATA without contents, be it padded. */
export const EMPTY_DATA = 3;
export const WINDOW_UPDATES = 4;
/** PRIORITY, frames of unknown types, and frames of streams that are over. */
export const USELESS = 5;

const NAMES = [
  "cancelled streams",
  "PING",
  "SETTINGS",
  "empty DATA",
  "WINDOW_UPDATE",
  "useless frames",
];
const LIMITS = [
  H2.resets,
  H2.pings,
  H2.settings,
  H2.emptyData,
  H2.windowUpdates,
  H2.uselessFrames,
] as const;

export class Guards {
  readonly #left = Int32Array.from(LIMITS, ({ burst }) => burst);
  #refilledMs: number;

  constructor(nowMs: number) {
    this.#refilledMs = nowMs;
  }

  /** @returns false if the budget is used up. */
  spend(kind: number): boolean {
    return --this.#left[kind]! >= 0;
  }

  /** The peer has reason to do this so many times more. */
  allow(kind: number, times: number): void {
    this.#left[kind] = Math.min(this.#left[kind]! + times, LIMITS[kind]!.burst);
  }

  /** Gives back what time gives back. */
  refill(nowMs: number): void {
    const seconds = Math.floor((nowMs - this.#refilledMs) / 1_000);
    if (seconds <= 0) return;
    this.#refilledMs += seconds * 1_000;
    for (let kind = 0; kind < LIMITS.length; kind++)
      this.allow(kind, seconds * LIMITS[kind]!.perSecond);
  }
}

export function guardName(kind: number): string {
  return NAMES[kind]!;
}

export function refusalOf(kind: number): Refusal {
  return kind === RESETS ? "http2_rapid_reset" : "http2_flood";
}
