// How many things happened within the last while, and how many of them were of one kind: outcomes and failures among them,
// requests and retries. Pure: time is a parameter, and a count costs no memory.
//
//   parts of the window   │ 7 │ 0 │ 3 │ 9 │ … │   the oldest is cleared when time enters it again
//
// Invariant: `all` and `some` are the sums of the parts, of which none is older than the window.

import { WINDOW_PARTS } from "../shared/recovery-limits.ts";

export class Window {
  /** After `advance`: within the window. */
  all = 0;
  some = 0;
  readonly #partMs: number;
  readonly #all = new Float64Array(WINDOW_PARTS);
  readonly #some = new Float64Array(WINDOW_PARTS);
  /** The newest part that was entered, counted from the beginning of time. */
  #part = -Infinity;

  constructor(windowMs: number) {
    this.#partMs = windowMs / WINDOW_PARTS;
  }

  /** Forgets what is too old. Time that goes back stands still. */
  advance(now: number): void {
    const part = Math.floor(now / this.#partMs);
    if (part <= this.#part) return;
    if (part - this.#part >= WINDOW_PARTS) this.clear();
    else for (let entered = this.#part + 1; entered <= part; entered++) this.#empty(entered);
    this.#part = part;
  }

  #empty(part: number): void {
    const at = part % WINDOW_PARTS;
    this.all -= this.#all[at]!;
    this.some -= this.#some[at]!;
    this.#all[at] = this.#some[at] = 0;
  }

  /** Something happened. */
  count(now: number): void {
    this.advance(now);
    this.#all[this.#part % WINDOW_PARTS]!++;
    this.all++;
  }

  /** Something of the kind; `count` counts it too, where it is one of all. */
  mark(now: number): void {
    this.advance(now);
    this.#some[this.#part % WINDOW_PARTS]!++;
    this.some++;
  }

  /** Nothing has happened yet. */
  clear(): void {
    this.#all.fill(0);
    this.#some.fill(0);
    this.all = this.some = 0;
  }
}
