// A worker's own end of the board of strains (shared/strain.ts): how late it is, told for others to read. Owned by the loop of an
// engine or of a gateway worker, which says what time it is.

import { type StrainBoard, threadOf } from "../shared/strain.ts";
import { Lag } from "./lag.ts";

export class Strain {
  readonly #board: StrainBoard;
  readonly #thread: number;
  readonly #lag = new Lag();

  constructor(board: StrainBoard, worker: number) {
    this.#board = board;
    this.#thread = threadOf(worker);
  }

  /** When `beat` is to be called; Infinity: not before something has happened. */
  get dueMs(): number {
    return this.#lag.dueMs;
  }

  /** Something has happened. */
  busy(nowMs: number): void {
    this.#lag.busy(nowMs);
  }

  /** As `beat`, of an event loop whose timer is always there. */
  beatOfTimer(nowMs: number, sharedMs: number): void {
    this.busy(nowMs);
    this.beat(nowMs, sharedMs);
  }

  /** @param sharedMs the time now, by the clock that all threads share. */
  beat(nowMs: number, sharedMs: number): void {
    const lag = this.#lag;
    lag.beat(nowMs, true);
    const due = lag.dueMs === Infinity ? 0 : sharedMs + (lag.dueMs - nowMs);
    this.#board.setThread(this.#thread, due, lag.worstMs, 0);
  }
}
