// Targets that stand for each other, as a listener has them at one time: which of them a connection is given, and why none. What
// is known of them is the ledger's, what the operator wants is the listener's, both by slot; a group is thrown away when
// targets come or go. Created by targets.ts, asked by its attempts.

import type { Refusal, TargetSlot } from "../shared/messages.ts";
import type { GroupPlan } from "../shared/plan.ts";
import { Balancer } from "./balance/balancer.ts";
import type { Ledger } from "./ledger.ts";
import { SlowStart } from "./slow-start.ts";

/** Why a connection finds nothing to try. */
export interface Lack {
  readonly reason: Refusal;
  /** For the log. */
  readonly detail: string;
  /** When it may be worth another try; left out where that is not known. */
  readonly retryMs?: number;
}

const NO_ADDRESS: Lack = { reason: "no_address", detail: "" };
const TAKEN_OUT: Lack = { reason: "target_down", detail: "every target is draining or disabled" };
const PROBED_DOWN: Lack = { reason: "target_down", detail: "probes found every target down" };
/** Of a circuit that is half open and has no place: whoever finds out will soon have. */
const HALF_OPEN_RETRY_MS = 1_000;

/** What the groups of a listener have in common: by slot. */
export interface BySlot {
  readonly ledger: Ledger;
  /** Connections of this worker, under way or open. */
  readonly active: Int32Array;
  /** 1: the operator has taken it out. Groups of attempts that are under way look there, too. */
  readonly takenOut: Uint8Array;
}

/** Chance, as TargetOptions has it. */
interface Chance {
  readonly random: () => number;
  readonly skip: number;
}

/** The index of a target that stands alone. */
const ONLY = 0;

export class Group<T extends TargetSlot> {
  readonly targets: readonly T[];
  /** How many of them the operator has not taken out. */
  readonly open: number;
  readonly shared: BySlot;
  /** Of HTTP: answers that are failures. */
  readonly #statuses: readonly number[];
  readonly #balancer: Balancer;
  readonly #slowStart: SlowStart | null;
  /** There is nothing to choose: requests of HTTP come by here a hundred thousand times a second. */
  readonly #isAlone: boolean;
  /** Clients are refused rather than sent where it is known that nobody answers. */
  readonly #refuses: boolean;
  /** By index: its slot. */
  readonly #slots: Int32Array;
  /** What the balancer is told: by index. */
  readonly #usable: Uint8Array;
  readonly #skipped: Uint8Array;

  constructor(plan: GroupPlan, targets: readonly T[], shared: BySlot, { random, skip }: Chance) {
    const { balance, breaker, slowStartMs } = plan;
    const slots = Int32Array.from(targets, ({ slot }) => slot);
    this.targets = targets;
    this.open = targets.filter(({ mode }) => mode === "enabled").length;
    this.shared = shared;
    this.#statuses = breaker?.statuses ?? [];
    this.#isAlone = targets.length === 1;
    this.#refuses = breaker?.refuses ?? false;
    this.#slots = slots;
    this.#usable = new Uint8Array(targets.length);
    this.#skipped = new Uint8Array(targets.length);
    const { active, ledger } = shared;
    this.#balancer = new Balancer(targets, balance, { active, slots, random, skip });
    const { weights } = this.#balancer;
    this.#slowStart =
      slowStartMs > 0 ? new SlowStart(weights, slots, ledger.health.upSince, slowStartMs) : null;
  }

  /** @returns the index of a target, or -1 if there is nothing left to try. */
  pick(tried: Uint8Array | null, ip: Uint8Array | null, now: number): number {
    const { ledger } = this.shared;
    if (this.#isAlone && tried === null && this.#isUsable(ONLY)) return ONLY;
    ledger.refresh(now);
    this.#slowStart?.refresh(now);
    const any = this.#look(tried);
    if (!any && this.#refuses) return -1;
    const index = this.#balancer.pick(this.#usable, this.#skipped, ip);
    if (index >= 0 && this.#balancer.tier === "down") ledger.lastResort(now);
    return index;
  }

  #isUsable(index: number): boolean {
    const { ledger, takenOut } = this.shared;
    const slot = this.#slots[index]!;
    return ledger.health.usable[slot] === 1 && takenOut[slot] === 0;
  }

  /**
   * Those that are taken out are neither usable nor a last resort, and do not keep others from being one.
   * @returns whether any is usable, be it one that was tried.
   */
  #look(tried: Uint8Array | null): boolean {
    let any = false;
    for (let index = 0; index < this.#slots.length; index++) {
      const isUsable = this.#isUsable(index);
      if (isUsable) any = true;
      const isOut = this.shared.takenOut[this.#slots[index]!] === 1;
      this.#usable[index] = isUsable ? 1 : 0;
      this.#skipped[index] = isOut || (tried !== null && tried[index] === 1) ? 1 : 0;
    }
    return any;
  }

  /** Whether there is another one that could be taken now. @param index of the one that is not meant. */
  hasOther(index: number, tried: Uint8Array | null): boolean {
    const any = this.#look(tried);
    for (let other = 0; other < this.#slots.length; other++) {
      if (other === index || this.#skipped[other] === 1) continue;
      if (this.#usable[other] === 1 || (!any && !this.#refuses)) return true;
    }
    return false;
  }

  /** One that stands alone is not left out, unless that was asked for: its clients have nowhere else to go. */
  get isSpared(): boolean {
    return this.#isAlone && !this.#refuses;
  }

  isFailure(status: number): boolean {
    return this.#statuses.length > 0 && this.#statuses.includes(status);
  }

  /** Why `pick` finds none, of those that nobody has tried. */
  lackAt(now: number): Lack {
    if (this.targets.length === 0) return NO_ADDRESS;
    const { health } = this.shared.ledger;
    const left = this.targets.filter(({ slot }) => this.shared.takenOut[slot] === 0);
    if (left.length === 0) return TAKEN_OUT;
    const open = left.filter(({ slot }) => health.isOpen(slot));
    if (open.length === 0) return PROBED_DOWN;
    const retryMs = Math.min(
      ...open.map(({ slot }) => health.ejectedForMs(slot, now) || HALF_OPEN_RETRY_MS),
    );
    return { reason: "circuit_open", detail: open.map(({ name }) => name).join(", "), retryMs };
  }
}
