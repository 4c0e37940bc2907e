// Refused clients, counted at once and reported at most once a second for each listener and reason, so that a flood of
// clients is not a flood of messages. Called by listeners of the data plane; `close` reports what is left and leaves no timer.

import { RELAY } from "./limits.ts";
import type { Refusal, WorkerEvent } from "./messages.ts";

interface Tally {
  count: number;
  detail: string;
  timer: ReturnType<typeof setTimeout> | null;
}

export class RefusalReports {
  readonly #key: string;
  readonly #emit: (event: WorkerEvent) => void;
  readonly #tallies = new Map<Refusal, Tally>();

  constructor(key: string, emit: (event: WorkerEvent) => void) {
    this.#key = key;
    this.#emit = emit;
  }

  /** The first refusal is reported at once, those within the next second together. */
  add(reason: Refusal, detail: string): void {
    const tally = this.#tallies.get(reason) ?? { count: 0, detail, timer: null };
    this.#tallies.set(reason, tally);
    tally.count++;
    tally.detail = detail;
    if (tally.timer === null) this.#report(reason, tally);
  }

  #report(reason: Refusal, tally: Tally): void {
    if (tally.count === 0) {
      tally.timer = null;
      return;
    }
    this.#emit({
      type: "refused",
      key: this.#key,
      reason,
      count: tally.count,
      detail: tally.detail,
    });
    tally.count = 0;
    tally.timer = setTimeout(() => this.#report(reason, tally), RELAY.reportIntervalMs);
    tally.timer.unref();
  }

  close(): void {
    for (const [reason, tally] of this.#tallies) {
      this.#report(reason, tally);
      if (tally.timer !== null) clearTimeout(tally.timer);
    }
    this.#tallies.clear();
  }
}
