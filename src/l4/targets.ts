// The targets of one listener in one worker, and the way of one connection over them: which it tries first, which next, and
// what the others learn of it. Without I/O: an engine connects, and says how that went.
//
//   Targets ── one Group for each place that a route can lead to ── begin ──▶ Attempt ── next ──▶ a target to connect to
//      ▲ update: names have other addresses, probes found something out         │
//                                                                               └─ succeeded, failed, abandoned, …
//
// Invariant: an attempt goes on with the targets that its group had when it began, whatever the listener has since; but none
// goes to a target that the operator has taken out (TargetMode), be it the last one.

import type { SocketAddress } from "../shared/address.ts";
import { CounterWriter } from "../shared/counters.ts";
import type { TargetSlot, WorkerEvent } from "../shared/messages.ts";
import type { GroupPlan } from "../shared/plan.ts";
import { type BySlot, Group, type Lack } from "./group.ts";
import { EJECTS, limitsOf, spent, type Ticket } from "./health.ts";
import { Ledger } from "./ledger.ts";

export type { Lack } from "./group.ts";

/** A target as an engine sees it: `socket` is its address in the engine's own form, made once. */
export interface Target<T> extends TargetSlot {
  readonly socket: T;
}

/** What an engine brings along. */
export interface TargetOptions<T> {
  readonly prepare: (address: SocketAddress, slot: TargetSlot) => T;
  /** Of `target`, what connecting showed; of `last_resort`, at most one in each interval of reports. */
  readonly emit: (event: WorkerEvent) => void;
  readonly random: () => number;
  /** See Balancer: the worker's index, so that workers do not all begin with the first target. */
  readonly skip: number;
}

/** The part of OpenRequest that is about targets. */
export interface TargetRequest {
  readonly listener: { readonly key: string; readonly groups: readonly GroupPlan[] };
  readonly targets: readonly TargetSlot[];
  /** Slots are below this. */
  readonly targetSlots: number;
  /** Layout in counters.ts: what becomes of targets is written there. */
  readonly counters: SharedArrayBuffer;
}

export class Targets<T> {
  readonly #plans: readonly GroupPlan[];
  readonly #options: TargetOptions<T>;
  readonly #shared: BySlot;
  #groups: readonly Group<Target<T>>[] = [];
  /** By slot: its target now. */
  #bySlot: (Target<T> | undefined)[] = [];

  constructor(request: TargetRequest, options: TargetOptions<T>, now: number) {
    const { listener, targetSlots, counters, targets } = request;
    const { key, groups } = listener;
    this.#plans = groups;
    this.#options = options;
    this.#shared = {
      ledger: new Ledger(key, targetSlots, options.emit, new CounterWriter(counters)),
      active: new Int32Array(targetSlots),
      takenOut: new Uint8Array(targetSlots),
    };
    this.update(targets, now);
  }

  /**
   * Takes over what the control plane says: addresses, what probes found out, and what the operator wants. What was learnt of
   * those that stay, stays.
   */
  update(slots: readonly TargetSlot[], now: number): void {
    const before = this.#bySlot;
    const { ledger, takenOut } = this.#shared;
    const targets = slots.map((slot): Target<T> => {
      const known = before[slot.slot];
      const same = known !== undefined && known.name === slot.name;
      const limits = limitsOf(this.#plans[slot.group]!.breaker);
      ledger.enter(slot, same ? null : limits, now);
      // Connections that the operator had reset count for nothing.
      const isBack = same && slot.mode === "enabled" && known.mode === "disabled";
      if (isBack && slot.up) ledger.renew(slot.slot, limits, now);
      return { ...slot, socket: same ? known.socket : this.#options.prepare(slot.address, slot) };
    });
    this.#bySlot = [];
    takenOut.fill(0);
    for (const target of targets) {
      this.#bySlot[target.slot] = target;
      if (target.mode !== "enabled") takenOut[target.slot] = 1;
    }
    for (const gone of before) {
      if (gone !== undefined && this.#bySlot[gone.slot] === undefined) {
        ledger.renew(gone.slot, EJECTS, -Infinity);
      }
    }
    this.#groups = this.#plans.map((plan, index) => {
      const members = targets.filter(({ group }) => group === index);
      return new Group(plan, members, this.#shared, this.#options);
    });
  }

  /** For people; undefined for a slot that no target has now. */
  nameOf(slot: number): string | undefined {
    return this.#bySlot[slot]?.name;
  }

  /** Connections of this worker to this slot, under way or open. */
  activeOf(slot: number): number {
    return this.#shared.active[slot]!;
  }

  /** A connection of a group begins. */
  begin(group: number): Attempt<T> {
    return new Attempt(this.#groups[group]!);
  }

  /** A connection to this slot ended, or its attempt did. */
  leave(slot: number): void {
    this.#shared.active[slot]!--;
  }
}

/**
 * One connection or request on its way to a target. After `next`, one of the ways to end is called before the following one;
 * `brokeOff` may come after `succeeded`.
 */
export class Attempt<T> {
  readonly #group: Group<Target<T>>;
  readonly #shared: BySlot;
  #index = -1;
  #slot = -1;
  #ticket: Ticket = 0;
  /** What the present target showed is known. */
  #told = false;
  #tried: Uint8Array | null = null;
  #left: number;

  constructor(group: Group<Target<T>>) {
    this.#group = group;
    this.#shared = group.shared;
    this.#left = group.open;
  }

  /** Why there is nothing to try, of one that has not tried anything. */
  lackAt(now: number): Lack {
    return this.#group.lackAt(now);
  }

  /** How many are left to try, the current one included. */
  get left(): number {
    return this.#left;
  }

  /** Whether a target other than the current one could be had now. */
  get hasOther(): boolean {
    return this.#group.hasOther(this.#index, this.#tried);
  }

  /** The target that is being tried, or was last. */
  get target(): Target<T> | undefined {
    return this.#group.targets[this.#index];
  }

  /** @param ip the client's 16 bytes; null if it has none. @returns undefined if there is nothing left to try. */
  next(ip: Uint8Array | null, now: number): Target<T> | undefined {
    const index = this.#group.pick(this.#tried, ip, now);
    if (index < 0) return undefined;
    const target = this.#group.targets[index]!;
    this.#index = index;
    this.#slot = target.slot;
    this.#ticket = this.#shared.ledger.health.began(target.slot, now);
    this.#told = false;
    if (this.#left === 0) this.#left = 1; // it has been let in again since
    this.#shared.active[target.slot]!++;
    return target;
  }

  /** The target is connected, or has answered, and counts as active until Targets.leave. */
  succeeded(now: number): void {
    this.#shared.ledger.succeeded(this.#slot, this.#spend(), now);
  }

  /** As `succeeded` or `brokeOff`, by what the answer is. */
  answered(status: number, now: number): void {
    if (this.#group.isFailure(status)) this.brokeOff(now);
    else this.succeeded(now);
  }

  /** The target has answered, and another one is asked all the same. */
  passedOver(status: number, now: number): void {
    this.answered(status, now);
    this.#giveUp();
  }

  /** The target did not connect, or did not answer. */
  failed(now: number): void {
    this.brokeOff(now);
    this.#giveUp();
  }

  /** The target failed though it had connected, and counts as active until Targets.leave. */
  brokeOff(now: number): void {
    const ticket = this.#spend();
    if (this.#group.isSpared) this.#shared.ledger.health.abandoned(this.#slot, ticket);
    else this.#shared.ledger.failed(this.#slot, ticket, now);
  }

  /**
   * The connection had been taken for made (Fast Open), and now it is known whether the target has answered; or the connection is
   * over, and nothing will be known. What was told before stays. It counts as active until Targets.leave.
   */
  settled(answered: boolean, now: number): void {
    if (this.#told) return;
    if (answered) this.succeeded(now);
    else this.#shared.ledger.health.abandoned(this.#slot, this.#spend());
  }

  /** It is not the target's fault: the client left, or this machine lacks something. */
  abandoned(): void {
    this.#shared.ledger.health.abandoned(this.#slot, this.#spend());
    this.#giveUp();
  }

  /** A place among those who find out is given back once, whatever else the connection shows later. */
  #spend(): Ticket {
    const ticket = this.#ticket;
    this.#ticket = spent(ticket);
    this.#told = true;
    return ticket;
  }

  #giveUp(): void {
    this.#shared.active[this.#slot]!--;
    this.#tried ??= new Uint8Array(this.#group.targets.length);
    this.#tried[this.#index] = 1;
    this.#left--;
  }
}
