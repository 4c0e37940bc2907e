// A timer of an event loop that wants to know how late it is: whatever keeps the loop busy keeps the timer waiting. Invariant: it
// keeps no process and no thread alive.

import { LAG } from "./limits.ts";

export class Beat {
  readonly #beat: () => void;
  #timer: ReturnType<typeof setTimeout>;

  /** @param beat called every LAG.beatMs, as far as the loop comes to it. */
  constructor(beat: () => void) {
    this.#beat = beat;
    this.#timer = this.#arm();
  }

  #arm(): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      this.#timer = this.#arm();
      this.#beat();
    }, LAG.beatMs);
    timer.unref();
    return timer;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
