// Whether a peer keeps to a minimum of bytes each second, over windows of time (H1.rateWindowMs). A window counts only while the
// peer is the one that is waited for, and one in which nothing came is a rest, which has a limit of its own. Pure; asked by
// a connection's sweep, so that no timer and no clock is on the way of bytes.

import { H1 } from "../../../shared/limits.ts";

export class Pace {
  #sinceMs = -1;
  #bytes = 0;
  /** So long nothing has come, in whole windows. */
  #restedMs = 0;

  /** The peer is not waited for. */
  rest(): void {
    this.#sinceMs = -1;
  }

  /**
   * @param bytes that it has moved so far.
   * @param minimum each second; 0: none.
   * @param restMs so long it may rest; 0: a rest is slow.
   * @returns false if it was too slow over the last window.
   */
  keeps(nowMs: number, bytes: number, minimum: number, restMs = 0): boolean {
    const elapsedMs = nowMs - this.#sinceMs;
    const isFirst = this.#sinceMs < 0;
    if (!isFirst && elapsedMs < H1.rateWindowMs) return true;
    const moved = bytes - this.#bytes;
    this.#restedMs = isFirst || moved > 0 ? 0 : this.#restedMs + elapsedMs;
    this.#sinceMs = nowMs;
    this.#bytes = bytes;
    if (isFirst || minimum === 0) return true;
    return moved * 1_000 >= minimum * elapsedMs || (moved === 0 && this.#restedMs < restMs);
  }
}
