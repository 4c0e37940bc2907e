// How many requests may be sent again: a share of those that came within the last while, and a few each second whatever it is.
// Where most requests fail, retries would otherwise multiply what the targets are asked just when they cannot take it. Pure:
// time is a parameter. One for each group of targets in each worker; asked by protocols/http/tries.ts.
//
// Invariant: of any `windowMs`, no more than the larger of both is granted.

import type { RetryBudgetPlan } from "../shared/http-plan.ts";
import { RETRY_BUDGET } from "../shared/recovery-limits.ts";
import { Window } from "./window.ts";

const SECOND_MS = 1_000;

export class RetryBudget {
  readonly #plan: RetryBudgetPlan;
  /** Requests, and retries. */
  readonly #window = new Window(RETRY_BUDGET.windowMs);
  /** Retries of the present second. */
  #second = -Infinity;
  #inSecond = 0;

  constructor(plan: RetryBudgetPlan) {
    this.#plan = plan;
  }

  /** A request came in. */
  request(now: number): void {
    this.#window.count(now);
  }

  /** Whether one more may be sent again; counts it if so. */
  take(now: number): boolean {
    const { share, minPerSecond } = this.#plan;
    const window = this.#window;
    window.advance(now);
    const second = Math.floor(now / SECOND_MS);
    if (second > this.#second) {
      this.#second = second;
      this.#inSecond = 0;
    }
    if (window.some + 1 > share * window.all && this.#inSecond >= minPerSecond) return false;
    this.#inSecond++;
    window.mark(now);
    return true;
  }
}
