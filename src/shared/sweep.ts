// Timeouts by one timer for all connections of a worker: it runs only while something can time out, at an eighth of the
// shortest timeout, and looks at the table of live connections instead of keeping a timer for each.

import { RELAY } from "./limits.ts";

export class Sweep {
  readonly #check: () => boolean;
  #timer: ReturnType<typeof setInterval> | null = null;
  #periodMs = Infinity;

  /** @param check looks at everything; returns false when nothing can time out any more. */
  constructor(check: () => boolean) {
    this.#check = check;
  }

  /** Makes sure that a timeout of this length is kept, to an eighth of its length. */
  need(timeoutMs: number): void {
    const periodMs = Math.min(Math.max(timeoutMs / 8, RELAY.sweepMinMs), RELAY.sweepMaxMs);
    if (this.#timer !== null && periodMs >= this.#periodMs) return;
    this.stop();
    this.#periodMs = periodMs;
    this.#timer = setInterval(() => {
      if (!this.#check()) this.stop();
    }, periodMs);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#periodMs = Infinity;
  }
}
