// Which targets may be taken, from two sources: what connecting to them showed, which each worker sees for itself (passive),
// and what probes said, which the control plane tells (active). One transition function for each event:
//
//            failures in a row            time is over            one connection
//      up ─────────────────▶ ejected ─────────────────▶ half_open ───────────▶ up, or ejected for twice as long
//
//   any state ──probes say so──▶ down ──probes say so──▶ up
//
// Invariant: usable[t] is 1 exactly if the target is up, or half_open with no connection under way that finds out.

import { EJECTION } from "../shared/limits.ts";
import { TARGET_STATES, type TargetState } from "../shared/target-states.ts";

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

export interface EjectionLimits {
  /** Connects that fail in a row until a target is ejected. */
  readonly failures: number;
  readonly firstMs: number;
  readonly maxMs: number;
  readonly calmMs: number;
}

const NO_CHANGES: readonly HealthChange[] = [];

export class TargetHealth {
  /** By target, for the balancer. */
  readonly usable: Uint8Array;
  readonly #limits: EjectionLimits;
  readonly #state: Uint8Array;
  /** In a row. */
  readonly #failures: Int32Array;
  /** Since it was calm. */
  readonly #ejections: Int32Array;
  readonly #ejectedUntil: Float64Array;
  readonly #upSince: Float64Array;
  /** No ejection ends before this. */
  #nextMs = Infinity;

  constructor(targets: number, limits: EjectionLimits = EJECTION) {
    this.usable = new Uint8Array(targets).fill(1);
    this.#limits = limits;
    this.#state = new Uint8Array(targets);
    this.#failures = new Int32Array(targets);
    this.#ejections = new Int32Array(targets);
    this.#ejectedUntil = new Float64Array(targets);
    this.#upSince = new Float64Array(targets).fill(-Infinity);
  }

  /** Takes over what another table knows of one of its targets. */
  inherit(target: number, from: TargetHealth, other: number): void {
    this.usable[target] = from.usable[other]!;
    this.#state[target] = from.#state[other]!;
    this.#failures[target] = from.#failures[other]!;
    this.#ejections[target] = from.#ejections[other]!;
    this.#ejectedUntil[target] = from.#ejectedUntil[other]!;
    this.#upSince[target] = from.#upSince[other]!;
    this.#nextMs = Math.min(this.#nextMs, from.#nextMs);
    // A connection of the other table that was finding out tells only that table: this one finds out for itself.
    if (this.#state[target] === HALF_OPEN) this.usable[target] = 1;
  }

  state(target: number): TargetState {
    return TARGET_STATES[this.#state[target]!]!;
  }

  /** Ends the ejections whose time is over. Called before each choice; costs a comparison when there is none. */
  refresh(now: number): readonly HealthChange[] {
    if (now < this.#nextMs) return NO_CHANGES;
    const changes: HealthChange[] = [];
    this.#nextMs = Infinity;
    this.#state.forEach((state, target) => {
      if (state !== EJECTED) return;
      const until = this.#ejectedUntil[target]!;
      if (until <= now) changes.push(this.#move(target, HALF_OPEN));
      else this.#nextMs = Math.min(this.#nextMs, until);
    });
    return changes;
  }

  /** A connection to this target begins. Of a half-open one it is the only one, until one of the next three is called. */
  began(target: number): void {
    if (this.#state[target] === HALF_OPEN) this.usable[target] = 0;
  }

  /** The target is connected. Whoever found out, it is up, unless probes say otherwise. */
  succeeded(target: number, now: number): HealthChange | null {
    this.#failures[target] = 0;
    const state = this.#state[target]!;
    if (state === UP || state === DOWN) return null;
    this.#upSince[target] = now;
    return this.#move(target, UP);
  }

  /** The target did not connect: refused, unreachable, or too late. A failure of this machine is none of the target's. */
  failed(target: number, now: number): HealthChange | null {
    const state = this.#state[target]!;
    // What began before the ejection says nothing new.
    if (state === EJECTED || state === DOWN) return null;
    this.#failures[target]!++;
    if (state === UP && this.#failures[target]! < this.#limits.failures) return null;
    return this.#eject(target, now);
  }

  /** The client left before the target answered. */
  abandoned(target: number): void {
    if (this.#state[target] === HALF_OPEN) this.usable[target] = 1;
  }

  /** What probes found out. @returns null if it was known. */
  probed(target: number, up: boolean, now: number): HealthChange | null {
    if (up === (this.#state[target] !== DOWN)) return null;
    if (up) {
      this.#failures[target] = 0;
      this.#upSince[target] = now;
    }
    return this.#move(target, up ? UP : DOWN);
  }

  #eject(target: number, now: number): HealthChange {
    const { firstMs, maxMs, calmMs } = this.#limits;
    const returned = this.#state[target] === HALF_OPEN;
    if (!returned && now - this.#upSince[target]! >= calmMs) this.#ejections[target] = 0;
    const forMs = Math.min(maxMs, firstMs * 2 ** this.#ejections[target]!);
    this.#ejections[target]!++;
    this.#failures[target] = 0;
    this.#ejectedUntil[target] = now + forMs;
    this.#nextMs = Math.min(this.#nextMs, now + forMs);
    return this.#move(target, EJECTED, forMs);
  }

  #move(target: number, to: number, forMs = 0): HealthChange {
    const from = this.state(target);
    this.#state[target] = to;
    this.usable[target] = to === UP || to === HALF_OPEN ? 1 : 0;
    return { target, from, to: this.state(target), forMs };
  }
}
