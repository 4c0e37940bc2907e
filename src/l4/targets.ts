// The targets of one listener in one worker, and the way of one connection over them: which it tries first, which next, and
// what the others learn of it. Without I/O: an engine connects, and says how that went.
//
//   Targets ── one Group for each place that a route can lead to ── begin ──▶ Attempt ── next ──▶ a target to connect to
//      ▲ update: names have other addresses, probes found something out         │
//                                                                               └─ succeeded, failed, abandoned
//
// Invariant: an attempt goes on with the targets that its group had when it began, whatever the listener has since; but none
// goes to a target that the operator has taken out (TargetMode), be it the last one.

import type { SocketAddress } from "../shared/address.ts";
import { CounterWriter } from "../shared/counters.ts";
import { RELAY } from "../shared/limits.ts";
import type { Refusal, TargetSlot, WorkerEvent } from "../shared/messages.ts";
import type { GroupPlan } from "../shared/plan.ts";
import type { TargetState } from "../shared/target-states.ts";
import { Balancer } from "./balance/balancer.ts";
import { type HealthChange, TargetHealth } from "./health.ts";

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

/** Why a connection finds nothing to try. */
export type Lack = readonly [reason: Refusal, detail: string];

const NO_ADDRESS: Lack = ["no_address", ""];
const TAKEN_OUT: Lack = ["target_down", "every target is draining or disabled"];

export class Targets<T> {
  readonly #plans: readonly GroupPlan[];
  readonly #options: TargetOptions<T>;
  readonly #reports: TargetReports;
  /** Connections of this worker by slot, under way or open. */
  readonly #active: Int32Array;
  /** By slot, 1: the operator has taken it out. Groups of attempts that are under way look there, too. */
  readonly #takenOut: Uint8Array;
  #groups: readonly Group<T>[] = [];
  /** By slot: its target now. */
  #bySlot: (Target<T> | undefined)[] = [];

  constructor(request: TargetRequest, options: TargetOptions<T>, now: number) {
    const { key, groups } = request.listener;
    this.#plans = groups;
    this.#options = options;
    this.#reports = new TargetReports(key, options.emit, new CounterWriter(request.counters));
    this.#active = new Int32Array(request.targetSlots);
    this.#takenOut = new Uint8Array(request.targetSlots);
    this.update(request.targets, now);
  }

  /**
   * Takes over what the control plane says: addresses, what probes found out, and what the operator wants. What was learnt of
   * those that stay, stays.
   */
  update(slots: readonly TargetSlot[], now: number): void {
    const before = this.#bySlot;
    const targets = slots.map((slot): Target<T> => {
      const known = before[slot.slot];
      const same = known !== undefined && known.name === slot.name;
      return { ...slot, socket: same ? known.socket : this.#options.prepare(slot.address, slot) };
    });
    this.#bySlot = [];
    this.#takenOut.fill(0);
    for (const target of targets) {
      this.#bySlot[target.slot] = target;
      if (target.mode !== "enabled") this.#takenOut[target.slot] = 1;
    }
    const old = this.#groups;
    this.#groups = this.#plans.map((plan, index) => {
      const members = targets.filter(({ group }) => group === index);
      const shared = { active: this.#active, takenOut: this.#takenOut };
      return new Group(plan, members, shared, this.#options, this.#reports, old[index], now);
    });
  }

  /** For people; undefined for a slot that no target has now. */
  nameOf(slot: number): string | undefined {
    return this.#bySlot[slot]?.name;
  }

  /** Connections of this worker to this slot, under way or open. */
  activeOf(slot: number): number {
    return this.#active[slot]!;
  }

  /** A connection of a group begins. */
  begin(group: number): Attempt<T> {
    return new Attempt(this.#groups[group]!, this.#active);
  }

  /** A connection to this slot ended, or its attempt did. */
  leave(slot: number): void {
    this.#active[slot]!--;
  }
}

/** What the groups of a listener have in common: by slot. */
interface BySlot {
  readonly active: Int32Array;
  readonly takenOut: Uint8Array;
}

/** The index of a target that stands alone. */
const ONLY = 0;

class Group<T> {
  readonly targets: readonly Target<T>[];
  /** How many of them the operator has not taken out. */
  readonly open: number;
  readonly health: TargetHealth;
  readonly #balancer: Balancer;
  readonly #reports: TargetReports;
  /** There is nothing to choose: requests of HTTP come by here a hundred thousand times a second. */
  readonly #isAlone: boolean;
  /** By index: its slot. */
  readonly #slots: Int32Array;
  readonly #takenOut: Uint8Array;
  /** What the balancer is told in place of health and tries, while some are taken out. */
  readonly #usable: Uint8Array;
  readonly #skipped: Uint8Array;

  constructor(
    plan: GroupPlan,
    targets: readonly Target<T>[],
    { active, takenOut }: BySlot,
    options: TargetOptions<T>,
    reports: TargetReports,
    before: Group<T> | undefined,
    now: number,
  ) {
    this.targets = targets;
    this.#isAlone = targets.length === 1;
    this.#reports = reports;
    const { random, skip } = options;
    const slots = Int32Array.from(targets, ({ slot }) => slot);
    this.open = targets.filter(({ mode }) => mode === "enabled").length;
    this.#slots = slots;
    this.#takenOut = takenOut;
    this.#usable = new Uint8Array(targets.length);
    this.#skipped = new Uint8Array(targets.length);
    this.#balancer = new Balancer(targets, plan.balance, { active, slots, random, skip });
    this.health = new TargetHealth(targets.length);
    targets.forEach(({ slot, name, up, mode }, index) => {
      const then = before?.targets.findIndex((old) => old.slot === slot && old.name === name) ?? -1;
      // Connections that the operator had reset count for nothing.
      const isBack = mode === "enabled" && before?.targets[then]?.mode === "disabled";
      if (then >= 0 && !isBack) this.health.inherit(index, before!.health, then);
      this.health.probed(index, up, now); // whoever probes has told of it
      reports.sees(slot, this.health.state(index));
    });
  }

  pick(tried: Uint8Array | null, ip: Uint8Array | null, now: number): number {
    const { health } = this;
    if (this.#isAlone && tried === null && health.usable[0] === 1 && !this.#isOut(ONLY)) {
      health.began(ONLY);
      return ONLY;
    }
    for (const change of health.refresh(now)) this.#tell(change.target, change);
    const index = this.#choose(tried, ip);
    if (index < 0) return -1;
    if (this.#balancer.tier === "down") this.#reports.lastResort(now);
    health.began(index);
    return index;
  }

  #isOut(index: number): boolean {
    return this.#takenOut[this.#slots[index]!] === 1;
  }

  /** Those that are taken out are neither usable nor a last resort, and do not keep others from being one. */
  #choose(tried: Uint8Array | null, ip: Uint8Array | null): number {
    const { usable } = this.health;
    let isAnyOut = false;
    for (let index = 0; index < this.targets.length; index++) {
      const isOut = this.#isOut(index);
      if (isOut) isAnyOut = true;
      this.#usable[index] = isOut ? 0 : usable[index]!;
      this.#skipped[index] = isOut || (tried !== null && tried[index] === 1) ? 1 : 0;
    }
    if (!isAnyOut) return this.#balancer.pick(usable, tried, ip);
    return this.#balancer.pick(this.#usable, this.#skipped, ip);
  }

  succeeded(index: number, now: number): void {
    this.#tell(index, this.health.succeeded(index, now));
  }

  /** One that stands alone is never left out: its clients have nowhere else to go. */
  failed(index: number, now: number): void {
    if (this.targets.length > 1) this.#tell(index, this.health.failed(index, now));
  }

  #tell(index: number, change: HealthChange | null): void {
    if (change !== null) this.#reports.changed(this.targets[index]!, change);
  }
}

/** What is told of a listener's targets, and what stands in its counters. */
class TargetReports {
  readonly #key: string;
  readonly #emit: (event: WorkerEvent) => void;
  readonly #counters: CounterWriter;
  #nextMs = -Infinity;

  constructor(key: string, emit: (event: WorkerEvent) => void, counters: CounterWriter) {
    this.#key = key;
    this.#emit = emit;
    this.#counters = counters;
  }

  sees(slot: number, state: TargetState): void {
    this.#counters.targetBecame(slot, state);
  }

  changed({ slot, name }: TargetSlot, { from, to, forMs }: HealthChange): void {
    this.sees(slot, to);
    if (to === "ejected") this.#counters.ejected(slot);
    this.#emit({ type: "target", key: this.#key, target: name, from, to, forMs });
  }

  /** Every target of a group is held for down, so all of them are tried anyway. */
  lastResort(now: number): void {
    if (now < this.#nextMs) return;
    this.#nextMs = now + RELAY.reportIntervalMs;
    this.#emit({ type: "last_resort", key: this.#key });
  }
}

/** One connection on its way to a target. After `next`, one of the three ways to end is called before the following one. */
export class Attempt<T> {
  readonly #group: Group<T>;
  readonly #active: Int32Array;
  #index = -1;
  #tried: Uint8Array | null = null;
  #left: number;

  constructor(group: Group<T>, active: Int32Array) {
    this.#group = group;
    this.#active = active;
    this.#left = group.open;
  }

  /** Of one that has nothing to try. */
  get lack(): Lack {
    return this.#group.targets.length === 0 ? NO_ADDRESS : TAKEN_OUT;
  }

  /** How many are left to try, the current one included. */
  get left(): number {
    return this.#left;
  }

  /** The target that is being tried, or was last. */
  get target(): Target<T> | undefined {
    return this.#group.targets[this.#index];
  }

  /** @param ip the client's 16 bytes; null if it has none. @returns undefined if there is nothing left to try. */
  next(ip: Uint8Array | null, now: number): Target<T> | undefined {
    const index = this.#group.pick(this.#tried, ip, now);
    if (index < 0) return undefined;
    this.#index = index;
    if (this.#left === 0) this.#left = 1; // it has been let in again since
    this.#active[this.target!.slot]!++;
    return this.target;
  }

  /** The target is connected, and counts as active until Targets.leave. */
  succeeded(now: number): void {
    this.#group.succeeded(this.#index, now);
  }

  /** The target did not connect. */
  failed(now: number): void {
    this.#group.failed(this.#index, now);
    this.#giveUp();
  }

  /** The target had connected, by Fast Open, and turned out not to answer. It counts as active until Targets.leave. */
  brokeOff(now: number): void {
    this.#group.failed(this.#index, now);
  }

  /** It is not the target's fault: the client left, or this machine lacks something. */
  abandoned(): void {
    this.#group.health.abandoned(this.#index);
    this.#giveUp();
  }

  #giveUp(): void {
    this.#active[this.target!.slot]!--;
    this.#tried ??= new Uint8Array(this.#group.targets.length);
    this.#tried[this.#index] = 1;
    this.#left--;
  }
}
