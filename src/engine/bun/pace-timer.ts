// Wakes the pacer when the first direction that waits for bandwidth may go on: the event loop has no wait to ask it before. One
// timer for all connections of an engine, and none while nobody waits. Called by engine.ts.

import type { Pacer } from "../../l4/pacer.ts";

export class PaceTimer {
  readonly #pacer: () => Pacer;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #dueMs = Infinity;

  constructor(pacer: () => Pacer) {
    this.#pacer = pacer;
  }

  /** Somebody waits, maybe for less time than others. */
  arm(): void {
    const waitMs = this.#pacer().waitMs();
    const dueMs = performance.now() + waitMs;
    if (waitMs === Infinity || dueMs >= this.#dueMs) return;
    this.stop();
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => {
      this.stop();
      this.#pacer().turn();
      this.arm();
    }, Math.ceil(waitMs));
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#dueMs = Infinity;
  }
}
