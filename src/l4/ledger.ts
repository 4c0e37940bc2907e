// What one worker knows of a listener's targets, by their slots: their health, told and written to shared memory as it changes.
// It outlives the groups that choose among them, so that what a connection shows counts, whatever has been updated since.
// Called by targets.ts.

import type { CounterWriter } from "../shared/counters.ts";
import { RELAY } from "../shared/limits.ts";
import type { TargetSlot, WorkerEvent } from "../shared/messages.ts";
import { type BreakerLimits, type HealthChange, TargetHealth, type Ticket } from "./health.ts";

export class Ledger {
  readonly health: TargetHealth;
  readonly #key: string;
  readonly #emit: (event: WorkerEvent) => void;
  readonly #counters: CounterWriter;
  /** By slot. */
  readonly #names: string[] = [];
  #nextMs = -Infinity;

  constructor(
    key: string,
    slots: number,
    emit: (event: WorkerEvent) => void,
    counters: CounterWriter,
  ) {
    this.health = new TargetHealth(slots);
    this.#key = key;
    this.#emit = emit;
    this.#counters = counters;
  }

  /**
   * What the control plane says of a target.
   * @param limits of a target that is new here; null: it was there before.
   */
  enter({ slot, name, up, addedMs }: TargetSlot, limits: BreakerLimits | null, now: number): void {
    if (limits !== null) this.renew(slot, limits, addedMs === 0 ? -Infinity : addedMs);
    this.#names[slot] = name;
    this.health.probed(slot, up, now); // whoever probes has told of it
    this.#write(slot, now);
  }

  /** Nothing that was seen of this slot counts any more. */
  renew(slot: number, limits: BreakerLimits, since: number): void {
    this.health.renew(slot, limits, since);
    this.#counters.targetBecame(slot, this.health.state(slot));
  }

  /** Called before each choice. */
  refresh(now: number): void {
    for (const change of this.health.refresh(now)) this.#tell(change);
  }

  succeeded(slot: number, ticket: Ticket, now: number): void {
    const change = this.health.succeeded(slot, ticket, now);
    if (change !== null) this.#tell(change);
  }

  failed(slot: number, ticket: Ticket, now: number): void {
    const change = this.health.failed(slot, ticket, now);
    if (change !== null) this.#tell(change);
  }

  #write(slot: number, now: number): void {
    const { health } = this;
    this.#counters.targetBecame(slot, health.state(slot), health.ejectedForMs(slot, now));
  }

  #tell({ target, from, to, forMs }: HealthChange): void {
    this.#counters.targetBecame(target, to, forMs);
    if (to === "ejected") this.#counters.ejected(target);
    const name = this.#names[target] ?? "";
    this.#emit({ type: "target", key: this.#key, target: name, from, to, forMs });
  }

  /** Every target of a group is held for down, so all of them are tried anyway. */
  lastResort(now: number): void {
    if (now < this.#nextMs) return;
    this.#nextMs = now + RELAY.reportIntervalMs;
    this.#emit({ type: "last_resort", key: this.#key });
  }
}
