// The tries of one request: which target has it, which may have it next, and whether it may be sent again. Invariant: the
// target of the last `next` counts as active until `failed`, `abandoned` or `end`. Part of an exchange (relay.ts), used again.

import type { RetryBudget } from "../../l4/retry-budget.ts";
import type { Attempt, Lack, Target } from "../../l4/targets.ts";
import type { RetryPlan } from "../../shared/http-plan.ts";
import { HTTP_RELAY } from "../../shared/limits.ts";
import type { Pool } from "./backend/pool.ts";
import type { Failure } from "./exchange.ts";
import { isIdempotent, isOfTarget } from "./retry.ts";

/** The choice of a target: l4/targets.ts. */
export interface Choice {
  begin(group: number): Attempt<Pool>;
  leave(slot: number): void;
  /** null: nothing bounds how many requests of this group are sent again. */
  budget(group: number): RetryBudget | null;
}

export class Tries {
  /** Bytes of the request's body went to a backend: it is not sent again. */
  bodyBegun = false;
  /** The present connection had served others before. */
  reused = false;
  readonly #choice: Choice;
  #attempt: Attempt<Pool> | null = null;
  #target: Target<Pool> | null = null;
  #plan: RetryPlan | null = null;
  #budget: RetryBudget | null = null;
  /** The target has shown that it works: `leave` is due. */
  #succeeded = false;
  /** Counts as active. */
  #active = false;
  /** Sent again on a new connection, since the first one was stale. */
  #renewed = false;
  /** How often it was sent again since the backend had not processed it. */
  #unprocessed = 0;
  #overspent = false;
  /** Further attempts by the route's rules. */
  #further = 0;
  /** Until when any target must have been reached, and until when the present one. */
  #connectByMs = 0;
  #targetByMs = 0;

  constructor(choice: Choice) {
    this.#choice = choice;
  }

  begin(group: number, plan: RetryPlan, now: number, connectMs: number): void {
    this.#attempt = this.#choice.begin(group);
    this.#budget = this.#choice.budget(group);
    this.#budget?.request(now);
    this.#plan = plan;
    this.#connectByMs = now + connectMs;
  }

  /** The one that was chosen last; null if none was. */
  get target(): Target<Pool> | null {
    return this.#target;
  }

  /** For people; empty without one. */
  get name(): string {
    return this.#target?.name ?? "";
  }

  get pool(): Pool {
    return this.#target!.socket;
  }

  get slot(): number {
    return this.#target!.slot;
  }

  /** Why `next` found nothing at all. */
  lackAt(now: number): Lack {
    return this.#attempt!.lackAt(now);
  }

  /** What is left of the time for connecting is shared by those that are left. @returns false: nobody is. */
  next(ip: Uint8Array | null, now: number): boolean {
    const attempt = this.#attempt!;
    const target = attempt.next(ip, now);
    if (target === undefined) return false;
    this.#target = target;
    this.#active = true;
    this.#targetByMs = now + Math.max(0, this.#connectByMs - now) / attempt.left;
    return true;
  }

  /** The present target has not been reached in its time. */
  isLate(now: number): boolean {
    return now >= this.#targetByMs;
  }

  /** An answer came, which is passed on. */
  answered(status: number, now: number): void {
    this.#attempt!.answered(status, now);
    this.#succeeded = true;
  }

  /** An answer came, and another target is asked instead. */
  passedOver(status: number, now: number): void {
    this.#attempt!.passedOver(status, now);
    this.#active = false;
  }

  failed(failure: Failure, now: number): void {
    if (isOfTarget(failure) && !this.#isStale(failure)) this.#attempt!.failed(now);
    else this.#attempt!.abandoned();
    this.#active = false;
  }

  /** Whether the same target is to be asked once more, on another connection; counts. */
  isToBeResent(failure: Failure, method: string): boolean {
    if (this.bodyBegun || this.pool.isDisabled) return false;
    if (failure.unprocessed) return this.#unprocessed++ < HTTP_RELAY.unprocessedMax;
    if (!this.#isStale(failure) || this.#renewed || !isIdempotent(method)) return false;
    this.#renewed = true;
    return true;
  }

  /**
   * The connection had rested, and the backend may have closed it while the request was on its way (RFC 9112 section 9.3.1),
   * which says nothing of the backend.
   */
  #isStale({ code }: Failure): boolean {
    return this.reused && (code === "closed" || code === "reset");
  }

  /** What is sent again for that must not be sent on a connection that has rested. */
  get renewed(): boolean {
    return this.#renewed;
  }

  /** Another target may be asked since this one could not be reached, which has had no work with it; counts. */
  mayReconnect(now: number): boolean {
    if (!this.#plan!.connect || !this.#mayTry(now)) return false;
    this.#further++;
    return true;
  }

  /** Another target may be asked since this one gave this status, or no answer, which would be told with it; counts. */
  mayRepeat(status: number, method: string, now: number): boolean {
    if (this.bodyBegun || !this.#plan!.statuses.includes(status)) return false;
    if (!isIdempotent(method) || !this.#mayTry(now)) return false;
    this.#overspent = this.#budget?.take(now) === false;
    if (!this.#overspent) this.#further++;
    return !this.#overspent;
  }

  #mayTry(now: number): boolean {
    if (this.#further >= this.#plan!.attempts) return false;
    return now < this.#connectByMs && this.#attempt!.hasOther;
  }

  /** The exchange is over. @returns whether the budget of retries kept it from being sent again. */
  end(): boolean {
    const overspent = this.#overspent;
    if (this.#succeeded) this.#choice.leave(this.#target!.slot);
    else if (this.#active) this.#attempt!.abandoned();
    this.#attempt = this.#target = this.#plan = this.#budget = null;
    this.#succeeded = this.#active = this.#renewed = false;
    this.bodyBegun = this.reused = this.#overspent = false;
    this.#unprocessed = this.#further = 0;
    return overspent;
  }
}
