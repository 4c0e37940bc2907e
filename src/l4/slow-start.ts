// The shares of targets that came back, or came to the others: a tenth at first, and all of it after `slow_start`, as nginx and
// haproxy have it. Caches are cold and connections few at first: what comes at full rate then would bring it down again. Pure;
// asked by targets.ts before each choice.

import { SLOW_START_LEAST } from "../shared/recovery-limits.ts";

export class SlowStart {
  /** The balancer's, by index. */
  readonly #weights: Float64Array;
  /** Once they have all of it. */
  readonly #full: Float64Array;
  readonly #slots: Int32Array;
  readonly #upSince: Float64Array;
  readonly #slowMs: number;

  /**
   * @param weights by index; changed by `refresh`.
   * @param slots of the targets, by index.
   * @param upSince by slot (health.ts); -Infinity: from the beginning.
   */
  constructor(weights: Float64Array, slots: Int32Array, upSince: Float64Array, slowMs: number) {
    this.#weights = weights;
    this.#full = weights.slice();
    this.#slots = slots;
    this.#upSince = upSince;
    this.#slowMs = slowMs;
  }

  refresh(now: number): void {
    for (let i = 0; i < this.#slots.length; i++) {
      const grown = (now - this.#upSince[this.#slots[i]!]!) / this.#slowMs;
      const share = grown >= 1 ? 1 : Math.max(SLOW_START_LEAST, grown);
      this.#weights[i] = this.#full[i]! * share;
    }
  }
}
