// The tries of one request: which target has it, which may have it next, and whether it may be sent again. Invariant: the
// target of the last `next` counts as active until `failed`, `abandoned` or `end`. Part of an exchange (relay.ts), used again.

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
}

export class Tries {
  /** Bytes of the request's body went to a backend: it is not sent again. */
  bodyBegun = false;
  /** The present connection had served others before. */
  reused = false;
  #attempt: Attempt<Pool> | null = null;
  #target: Target<Pool> | null = null;
  #plan: RetryPlan | null = null;
  /** The target has shown that it works: `leave` is due. */
  #succeeded = false;
  /** Counts as active. */
  #active = false;
  /** Sent again on a new connection, since the first one was stale. */
  #renewed = false;
  /** How often it was sent again since the backend had not processed it. */
  #unprocessed = 0;
  /** Further attempts by the route's rules. */
  #further = 0;
  /** Until when any target must have been reached, and until when the present one. */
  #connectByMs = 0;
  #targetByMs = 0;

  begin(attempt: Attempt<Pool>, plan: RetryPlan, connectByMs: number): void {
    this.#attempt = attempt;
    this.#plan = plan;
    this.#connectByMs = connectByMs;
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
  get lack(): Lack {
    return this.#attempt!.lack;
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

  /** An answer came. */
  succeeded(now: number): void {
    this.#attempt!.succeeded(now);
    this.#succeeded = true;
  }

  failed(failure: Failure, now: number): void {
    if (isOfTarget(failure) && !this.#isStale(failure)) this.#attempt!.failed(now);
    else this.#attempt!.abandoned();
    this.#active = false;
  }

  /** It was not the target's fault. */
  abandoned(): void {
    this.#attempt!.abandoned();
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

  /** Another target may be asked since this one could not be reached; counts. */
  mayReconnect(now: number): boolean {
    return this.#plan!.connect && this.#mayTry(now);
  }

  /** Another target, if there is one, is to be asked rather than this status passed on; counts. */
  isElsewhereBetter(status: number, method: string, now: number): boolean {
    return this.#attempt!.left > 1 && this.mayRepeat(status, method, now);
  }

  /** Another target may be asked since this one gave no answer, which would be told with this status; counts. */
  mayRepeat(status: number, method: string, now: number): boolean {
    if (this.bodyBegun || !this.#plan!.statuses.includes(status)) return false;
    return isIdempotent(method) && this.#mayTry(now);
  }

  #mayTry(now: number): boolean {
    if (this.#attempt!.left === 0 || now >= this.#connectByMs) return false;
    if (this.#further >= this.#plan!.attempts) return false;
    this.#further++;
    return true;
  }

  /** The exchange is over. */
  end(targets: Choice): void {
    if (this.#succeeded) targets.leave(this.#target!.slot);
    else if (this.#active) this.#attempt!.abandoned();
    this.#attempt = this.#target = this.#plan = null;
    this.#succeeded = this.#active = this.#renewed = this.bodyBegun = this.reused = false;
    this.#unprocessed = this.#further = 0;
  }
}
