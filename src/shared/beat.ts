// A timer of an event loop that wants to know how late it is: whatever keeps the loop busy keeps the timer waiting. Invariant: it
// keeps no process and no thread alive.

export class Beat {
  readonly #beat: () => number;
  #timer: ReturnType<typeof setTimeout>;

  /** @param beat called after `firstMs`, and then after as many as it returns, as far as the loop comes to it. */
  constructor(firstMs: number, beat: () => number) {
    this.#beat = beat;
    this.#timer = this.#arm(firstMs);
  }

  #arm(ms: number): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      this.#timer = this.#arm(this.#beat());
    }, ms);
    timer.unref();
    return timer;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
