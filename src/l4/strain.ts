// A worker's own end of the board of strains (shared/strain.ts): how late it is, told for others to read, and whether new work
// is turned away. Owned by the loop of an engine or of a gateway worker, which says what time it is. What is asked for each
// client and request costs two loads.

import { LAG, SHEDDING } from "../shared/limits.ts";
import { type StrainBoard, threadOf } from "../shared/strain.ts";
import { Lag } from "./lag.ts";
import { Shedding } from "./shedding.ts";

export class Strain {
  readonly #board: StrainBoard;
  readonly #thread: number;
  readonly #lag = new Lag();
  readonly #shedding = new Shedding(SHEDDING.lag);
  /** Shares of what came add up to what is turned away: of a share of 0.1, each tenth. */
  #owed = 0;

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

  /**
   * As `beat`, of an event loop.
   * @param serves it has somebody to serve.
   * @returns after how many milliseconds it is to be called again.
   */
  beatOfTimer(nowMs: number, sharedMs: number, serves: boolean): number {
    if (serves) this.busy(nowMs);
    if (nowMs >= this.dueMs) this.beat(nowMs, sharedMs);
    return Math.min(this.dueMs - nowMs, LAG.restMs);
  }

  /** @param sharedMs the time now, by the clock that all threads share. */
  beat(nowMs: number, sharedMs: number): void {
    const lag = this.#lag;
    lag.beat(nowMs, this.#shedding.share === 0);
    const share = this.#shedding.look(lag.worstMs, this.#board.lagCeilingMs, nowMs);
    const due = lag.dueMs === Infinity ? 0 : sharedMs + (lag.dueMs - nowMs);
    this.#board.setThread(this.#thread, due, lag.worstMs, share);
  }

  /** Whether this piece of new work, a client or a request, is to be turned away. To be asked once for each. */
  sheds(): boolean {
    const { memoryShare, descriptorsShare } = this.#board;
    const process = memoryShare > descriptorsShare ? memoryShare : descriptorsShare;
    const own = this.#shedding.share;
    return this.#turn(own > process ? own : process);
  }

  /** As `sheds`, of a client whose requests are judged later, each by itself: what holds it has to be there all the same. */
  shedsClient(): boolean {
    return this.#turn(this.#board.descriptorsShare);
  }

  #turn(share: number): boolean {
    if (share === 0) return false;
    this.#owed += share;
    if (this.#owed < 1) return false;
    this.#owed -= 1;
    return true;
  }

  /** All new work is turned away. */
  get isFull(): boolean {
    const { memoryShare, descriptorsShare } = this.#board;
    return Math.max(memoryShare, descriptorsShare, this.#shedding.share) >= 1;
  }

  /** What is short, for the log. */
  get reason(): string {
    const { memoryShare, descriptorsShare } = this.#board;
    const parts = [
      { name: "memory", share: memoryShare },
      { name: "descriptors", share: descriptorsShare },
      { name: "lag", share: this.#shedding.share },
    ];
    return parts.reduce((most, part) => (part.share > most.share ? part : most)).name;
  }
}
