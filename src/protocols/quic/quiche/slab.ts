// Memory that streams are read into: pieces of one large one, each given away once, so that small reads cost neither an
// allocation nor a copy. Called by streams.

import { QUICHE } from "../../../shared/limits.ts";

export class Slab {
  #bytes = new Uint8Array(QUICHE.slabBytes);
  #at = 0;

  /** All that is left, at least QUICHE.slabRestBytes. Not to be kept. */
  rest(): Uint8Array {
    if (this.#bytes.length - this.#at < QUICHE.slabRestBytes) {
      this.#bytes = new Uint8Array(QUICHE.slabBytes);
      this.#at = 0;
    }
    return this.#bytes.subarray(this.#at);
  }

  /** The first `count` bytes of `rest`, which are the caller's. */
  take(count: number): Uint8Array {
    const start = this.#at;
    this.#at += count;
    return this.#bytes.subarray(start, this.#at);
  }
}

/** Of this thread. */
export const SLAB = new Slab();
