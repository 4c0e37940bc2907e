// How many answers to strangers leave each second: what no connection stands behind must not become anybody's echo. Pure: the
// time is a parameter. Called by endpoints.

export class Rate {
  readonly #perSecond: number;
  #left: number;
  #sinceMs = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#left = perSecond;
  }

  /** @returns whether one more may go. */
  take(nowMs: number): boolean {
    if (nowMs - this.#sinceMs >= 1_000) {
      this.#sinceMs = nowMs;
      this.#left = this.#perSecond;
    }
    if (this.#left <= 0) return false;
    this.#left--;
    return true;
  }
}
