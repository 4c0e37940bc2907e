// When new work is turned away, and how much of it: pure, with the time as a parameter. Asked of anything that has a ceiling:
// how late a worker is, and the memory and descriptors that all of them have.
//
//   share 1 ┤                 ┌────   Begins above the ceiling, once that has been so for holdMs. Ends below `resume` at once,
//           │               ╱         and below the ceiling after calmMs, so that what rests in between does not keep it going.
//     least ┤      ┌────────┘         The further a value is above, the more is turned away.
//         0 ┴──────┴────────┬────┬─▶
//               resume  ceiling  full
//
// What stays where it is for plateauMs is not given back by turning new work away: an allocator keeps it, or what is under way
// does. Then only the least share is turned away, until it moves, as long as it is not against the wall.

import { SHEDDING } from "../shared/limits.ts";

/** How a thing is judged; `resume` and `full` are parts of its ceiling. */
export interface SheddingRule {
  readonly resume: number;
  readonly full: number;
  readonly holdMs: number;
  readonly calmMs: number;
  readonly plateauMs: number;
}

export class Shedding {
  /** Of new work, 0 to 1: what is to be turned away. */
  share = 0;
  /** It is less than the value asks for, which does not move. */
  relieved = false;
  readonly #rule: SheddingRule;
  /** Since when it is above the ceiling, or below it while shedding; -1: it is not. */
  #aboveMs = -1;
  #belowMs = -1;
  /** About where it is, and since when. */
  #level = 0;
  #levelMs = 0;

  constructor(rule: SheddingRule) {
    this.#rule = rule;
  }

  /**
   * @param ceiling 0: none.
   * @param wall what it must never reach.
   * @returns `share`, as it is from now on.
   */
  look(value: number, ceiling: number, nowMs: number, wall = Infinity): number {
    this.relieved = false;
    if (ceiling <= 0) return this.#end();
    if (value > ceiling) return this.#above(value, ceiling, nowMs, wall);
    this.#aboveMs = -1;
    if (this.share === 0) return 0;
    if (this.#belowMs < 0) this.#belowMs = nowMs;
    const { resume, calmMs } = this.#rule;
    if (value <= ceiling * resume || nowMs - this.#belowMs >= calmMs) return this.#end();
    return (this.share = SHEDDING.leastShare);
  }

  #above(value: number, ceiling: number, nowMs: number, wall: number): number {
    this.#belowMs = -1;
    if (this.#aboveMs < 0) this.#aboveMs = nowMs;
    const { full, holdMs, plateauMs } = this.#rule;
    if (this.share === 0) {
      if (nowMs - this.#aboveMs < holdMs) return 0;
      this.#level = 0;
    }
    const { leastShare, plateauPart } = SHEDDING;
    if (Math.abs(value - this.#level) > this.#level * plateauPart) {
      this.#level = value;
      this.#levelMs = nowMs;
    }
    this.relieved = nowMs - this.#levelMs >= plateauMs && value < wall;
    if (this.relieved) return (this.share = leastShare);
    const part = Math.min(1, (value / ceiling - 1) / (full - 1));
    return (this.share = leastShare + (1 - leastShare) * part);
  }

  #end(): number {
    this.#aboveMs = this.#belowMs = -1;
    return (this.share = 0);
  }
}
