// Memory that streams are read into: pieces of one large one, each given away once, so that small reads cost neither an
// allocation nor a copy. Called by streams.

import { QUIC } from "../../../shared/limits.ts";

export class Slab {
  #bytes = new Uint8Array(QUIC.slabBytes);
  #at = 0;

  /** All that is left, at least QUIC.slabRestBytes. Not to be kept. */
  rest(): Uint8Array {
    if (this.#bytes.length - this.#at < QUIC.slabRestBytes) {
      this.#bytes = new Uint8Array(QUIC.slabBytes);
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
