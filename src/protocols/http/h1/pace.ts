// Whether a peer keeps to a minimum of bytes each second, over windows of time (H1.rateWindowMs). A window counts only while the
// peer is the one that is waited for. Pure; asked by a connection's sweep, so that no timer and no clock is on the way of bytes.

import { H1 } from "../../../shared/limits.ts";

export class Pace {
  #sinceMs = -1;
  #bytes = 0;

  /** The peer is not waited for. */
  rest(): void {
    this.#sinceMs = -1;
  }

  /**
   * @param bytes that it has moved so far.
   * @param minimum each second; 0: none.
   * @returns false if it was too slow over the last window.
   */
  keeps(nowMs: number, bytes: number, minimum: number): boolean {
    const elapsedMs = nowMs - this.#sinceMs;
    if (this.#sinceMs >= 0 && elapsedMs < H1.rateWindowMs) return true;
    const kept = this.#sinceMs < 0 || (bytes - this.#bytes) * 1_000 >= minimum * elapsedMs;
    this.#sinceMs = nowMs;
    this.#bytes = bytes;
    return kept;
  }
}
