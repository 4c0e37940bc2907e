// How late a thread is: it means to look at the clock every LAG.beatMs, and what it is late is what everything else that was due
// meanwhile waited, too. Pure: the loop that owns it says what time it is. A thread that waits for the kernel and has nothing to
// do is not late, so after a quiet second there is no beat until something happens.

import { LAG } from "../shared/limits.ts";

export class Lag {
  /** When the next beat is; Infinity while it rests. */
  dueMs = Infinity;
  /** How late the last one was. */
  lastMs = 0;
  #windowMs = -Infinity;
  #worst = 0;
  #worstBefore = 0;
  /** Since when nothing has happened. */
  #quietMs = 0;
  readonly #beatMs: number;

  constructor(beatMs: number = LAG.beatMs) {
    this.#beatMs = beatMs;
  }

  /** Something has happened: cheap, since it is told for every turn of a loop. */
  busy(nowMs: number): void {
    this.#quietMs = nowMs;
    if (this.dueMs === Infinity) this.dueMs = nowMs + this.#beatMs;
  }

  /** The worst of the last second, give or take half of one. */
  get worstMs(): number {
    return Math.max(this.#worst, this.#worstBefore);
  }

  /** To be called as soon as `dueMs` has come. @param mayRest nobody needs to know that the thread is not late any more. */
  beat(nowMs: number, mayRest: boolean): void {
    const late = Math.max(0, nowMs - this.dueMs);
    const windows = Math.floor((nowMs - this.#windowMs) / LAG.windowMs);
    if (windows > 0) {
      this.#worstBefore = windows === 1 ? this.#worst : 0;
      this.#worst = 0;
      this.#windowMs = nowMs;
    }
    this.lastMs = late;
    this.#worst = Math.max(this.#worst, late);
    const rests = mayRest && nowMs - this.#quietMs >= 2 * LAG.windowMs;
    this.dueMs = rests ? Infinity : nowMs + this.#beatMs;
  }
}
