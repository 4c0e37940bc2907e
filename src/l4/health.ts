// Which targets may be taken, from two sources: what connections and requests showed, which each worker sees for itself
// (passive), and what probes said, which the control plane tells (active). It is the circuit breaker of each target, and one
// transition function for each event:
//
//      failures in a row, or too many in the window       time is over                `probes` succeed
//      up ───────────────────────────────────────▶ ejected ────────────▶ half_open ───────────────────▶ up
//   (closed)                                        (open)  ◀──────────── one fails: for twice as long
//
//   any state ──probes of the control plane say so──▶ down ──and so──▶ up
//
// Whoever takes a target gets a ticket, and shows it with what became of it: what began before the present state says nothing of
// it, and a place among those who find out is given back once. Called by targets.ts; targets are named by their slots.
//
// Invariants:
// 1. usable[t] is 1 exactly if the target is up, or half_open with less than `probes` under way that find out, or one more since
//    the last of them has had HALF_OPEN_STALL_MS: whoever holds a place for long, a slow client above all, keeps nobody out.
// 2. Of a target that is half_open, #probing[t] is the number of tickets of this period that hold a place.

import type { BreakerPlan } from "../shared/plan.ts";
import { BREAKER_DEFAULTS, EJECTION, HALF_OPEN_STALL_MS } from "../shared/recovery-limits.ts";
import { TARGET_STATES, type TargetState } from "../shared/target-states.ts";
import { Window } from "./window.ts";

const UP = 0;
const EJECTED = 1;
const HALF_OPEN = 2;
const DOWN = 3;

/** For the log. */
export interface HealthChange {
  readonly target: number;
  readonly from: TargetState;
  readonly to: TargetState;
  /** How long it is left out, of an ejection; otherwise 0. */
  readonly forMs: number;
}

export interface BreakerLimits extends Pick<
  BreakerPlan,
  "failures" | "errorRate" | "minimum" | "windowMs" | "probes"
> {
  /** An ejection, doubled each time up to the second; a target that stayed up for calmMs starts over. */
  readonly firstMs: number;
  readonly maxMs: number;
  readonly calmMs: number;
  /** Any success ends an ejection before its time: whoever got through, the target is there. */
  readonly returnsAtOnce: boolean;
}

/** Without `circuit_breaker`: what does not connect is left out, and one connection finds out whether it is back. */
export const EJECTS: BreakerLimits = {
  ...EJECTION,
  errorRate: 0,
  minimum: 0,
  windowMs: BREAKER_DEFAULTS.windowMs,
  probes: 1,
  returnsAtOnce: true,
};

export function limitsOf(plan: BreakerPlan | null): BreakerLimits {
  if (plan === null) return EJECTS;
  const { openMs: firstMs, maxOpenMs: maxMs } = plan;
  return { ...plan, firstMs, maxMs, calmMs: EJECTION.calmMs, returnsAtOnce: false };
}

/**
 * Of one that took a target: the period of the target's state, with 1 added while it holds a place among those who find out.
 * Periods are even.
 */
export type Ticket = number;

const PLACE = 1;

/** The same without its place. */
export function spent(ticket: Ticket): Ticket {
  return ticket & ~PLACE;
}

const NO_CHANGES: readonly HealthChange[] = [];

export class TargetHealth {
  /** By slot, for the balancer. */
  readonly usable: Uint8Array;
  /** By slot: since when it is up; -Infinity: from the beginning. */
  readonly upSince: Float64Array;
  readonly #limits: BreakerLimits[];
  /** What came of what was sent there, and what of it failed; null: its rate does not matter. */
  readonly #outcomes: (Window | null)[];
  readonly #state: Uint8Array;
  /** Another one with each state that it comes to. */
  readonly #period: Int32Array;
  /** In a row. */
  readonly #failures: Int32Array;
  /** Since it was calm. */
  readonly #ejections: Int32Array;
  readonly #ejectedUntil: Float64Array;
  /** Of half-open ones: under way, and succeeded. */
  readonly #probing: Int32Array;
  readonly #passed: Int32Array;
  /** When the last place was given. */
  readonly #givenMs: Float64Array;
  /** No ejection ends, and no place is added, before this. */
  #nextMs = Infinity;

  constructor(slots: number) {
    this.usable = new Uint8Array(slots).fill(1);
    this.upSince = new Float64Array(slots).fill(-Infinity);
    this.#limits = Array.from({ length: slots }, () => EJECTS);
    this.#outcomes = new Array<Window | null>(slots).fill(null);
    this.#state = new Uint8Array(slots);
    this.#period = new Int32Array(slots);
    this.#failures = new Int32Array(slots);
    this.#ejections = new Int32Array(slots);
    this.#ejectedUntil = new Float64Array(slots);
    this.#probing = new Int32Array(slots);
    this.#passed = new Int32Array(slots);
    this.#givenMs = new Float64Array(slots);
  }

  /** Another target has this slot: nothing is known of it. @param since when it came; -Infinity: it was there at the start. */
  renew(target: number, limits: BreakerLimits, since: number): void {
    this.#limits[target] = limits;
    this.#outcomes[target] = limits.errorRate > 0 ? new Window(limits.windowMs) : null;
    this.#failures[target] = this.#ejections[target] = 0;
    this.#move(target, UP);
    this.upSince[target] = since;
  }

  state(target: number): TargetState {
    return TARGET_STATES[this.#state[target]!]!;
  }

  /** Its circuit is open, or half open: it is known to have failed, and time will tell. */
  isOpen(target: number): boolean {
    const state = this.#state[target]!;
    return state === EJECTED || state === HALF_OPEN;
  }

  /** How long it stays ejected; 0 if it is not. */
  ejectedForMs(target: number, now: number): number {
    if (this.#state[target] !== EJECTED) return 0;
    return Math.max(0, this.#ejectedUntil[target]! - now);
  }

  /**
   * Ends the ejections whose time is over, and lets one more find out where nobody has for long. Called before each choice; costs
   * a comparison when there is nothing of that.
   */
  refresh(now: number): readonly HealthChange[] {
    if (now < this.#nextMs) return NO_CHANGES;
    const changes: HealthChange[] = [];
    this.#nextMs = Infinity;
    this.#state.forEach((state, target) => {
      const isFull = state === HALF_OPEN && this.usable[target] === 0;
      if (state !== EJECTED && !isFull) return;
      const until = isFull
        ? this.#givenMs[target]! + HALF_OPEN_STALL_MS
        : this.#ejectedUntil[target]!;
      if (until > now) this.#nextMs = Math.min(this.#nextMs, until);
      else if (isFull) this.usable[target] = 1;
      else changes.push(this.#move(target, HALF_OPEN));
    });
    return changes;
  }

  /**
   * A connection or request to this target begins. Of a half-open one it finds out, if it is usable: then one of the next three
   * must follow. Whoever goes there as a last resort takes no place.
   */
  began(target: number, now: number): Ticket {
    const period = this.#period[target]!;
    if (this.#state[target] !== HALF_OPEN || this.usable[target] === 0) return period;
    this.#probing[target]!++;
    if (this.#probing[target]! >= this.#limits[target]!.probes) {
      this.usable[target] = 0;
      this.#givenMs[target] = now;
      this.#nextMs = Math.min(this.#nextMs, now + HALF_OPEN_STALL_MS);
    }
    return period + PLACE;
  }

  /** It is connected, or has answered. */
  succeeded(target: number, ticket: Ticket, now: number): HealthChange | null {
    const state = this.#state[target]!;
    if (state === UP) {
      if (!this.#isOfNow(target, ticket)) return null;
      this.#failures[target] = 0;
      this.#outcomes[target]?.count(now);
      return null;
    }
    if (state === DOWN) return null;
    const limits = this.#limits[target]!;
    const foundOut = this.#giveBack(target, ticket) && ++this.#passed[target]! >= limits.probes;
    return foundOut || limits.returnsAtOnce ? this.#return(target, now) : null;
  }

  /** It did not connect: refused, unreachable, or too late; or it failed to answer. A failure of this machine is none of its. */
  failed(target: number, ticket: Ticket, now: number): HealthChange | null {
    if (!this.#isOfNow(target, ticket)) return null;
    const state = this.#state[target]!;
    if (state === HALF_OPEN) return (ticket & PLACE) !== 0 ? this.#eject(target, now) : null;
    if (state !== UP) return null;
    this.#failures[target]!++;
    return this.#hasFailed(target, now) ? this.#eject(target, now) : null;
  }

  /** It showed nothing: the client left before, or something was amiss here. */
  abandoned(target: number, ticket: Ticket): void {
    this.#giveBack(target, ticket);
  }

  /** What probes found out. @returns null if it was known. */
  probed(target: number, up: boolean, now: number): HealthChange | null {
    if (up === (this.#state[target] !== DOWN)) return null;
    if (up) return this.#return(target, now);
    return this.#move(target, DOWN);
  }

  #isOfNow(target: number, ticket: Ticket): boolean {
    return spent(ticket) === this.#period[target]!;
  }

  /** @returns whether it held a place. */
  #giveBack(target: number, ticket: Ticket): boolean {
    if ((ticket & PLACE) === 0 || !this.#isOfNow(target, ticket)) return false;
    this.#probing[target]!--;
    if (this.#probing[target]! < this.#limits[target]!.probes) this.usable[target] = 1;
    return true;
  }

  #hasFailed(target: number, now: number): boolean {
    const { failures, errorRate, minimum } = this.#limits[target]!;
    const outcomes = this.#outcomes[target]!;
    if (failures > 0 && this.#failures[target]! >= failures) return true;
    if (outcomes === null) return false;
    outcomes.count(now);
    outcomes.mark(now);
    return outcomes.all >= minimum && outcomes.some >= errorRate * outcomes.all;
  }

  #eject(target: number, now: number): HealthChange {
    const { firstMs, maxMs, calmMs } = this.#limits[target]!;
    const returned = this.#state[target] === HALF_OPEN;
    if (!returned && now - this.upSince[target]! >= calmMs) this.#ejections[target] = 0;
    const forMs = Math.min(maxMs, firstMs * 2 ** this.#ejections[target]!);
    this.#ejections[target]!++;
    this.#ejectedUntil[target] = now + forMs;
    this.#nextMs = Math.min(this.#nextMs, now + forMs);
    return this.#move(target, EJECTED, forMs);
  }

  #return(target: number, now: number): HealthChange {
    this.upSince[target] = now;
    this.#outcomes[target]?.clear();
    return this.#move(target, UP);
  }

  #move(target: number, to: number, forMs = 0): HealthChange {
    const from = this.state(target);
    this.#state[target] = to;
    this.#period[target]! += 2;
    this.#failures[target] = this.#probing[target] = this.#passed[target] = 0;
    this.usable[target] = to === UP || to === HALF_OPEN ? 1 : 0;
    return { target, from, to: this.state(target), forMs };
  }
}
