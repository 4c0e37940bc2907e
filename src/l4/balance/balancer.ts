// Which of a listener's targets a connection goes to, and which one next when that one fails. Backups come only when no
// other usable target is left for the connection, and those without weight only when there is no backup. When health holds
// every target for down, all of them are tried anyway: a proxy that refuses by itself is worse than one that finds out, and
// `tier` says so.
//
// Each worker has a balancer of its own; what health says and the active connections are given to it.

import type { Balance } from "../../shared/plan.ts";
import { SourceHash } from "./source-hash.ts";
import {
  LeastConnections,
  type Load,
  RandomOfTwo,
  RoundRobin,
  type Strategy,
} from "./strategies.ts";

export interface BalancedTarget {
  /** Tells it from the others, whatever their order is: its address as written. */
  readonly name: string;
  /** 0: while no other is left. */
  readonly weight: number;
  readonly backup: boolean;
}

export interface BalancerInput {
  /** Open connections: of target `t`, `active[slots[t]]`; without `slots`, `active[t]`. */
  readonly active: Int32Array;
  readonly slots?: Int32Array;
  /** Gives numbers from 0 to below 1. */
  readonly random: () => number;
  /** Begins this many choices later, so that workers do not all begin with the first target. */
  readonly skip: number;
}

/** Where a choice comes from: `down` is the last resort, every target being held for down. */
export type Tier = Rank | "down";
type Rank = "primary" | "backup" | "weightless";
const RANKS: readonly Rank[] = ["primary", "backup", "weightless"];

export class Balancer {
  readonly #targets: readonly BalancedTarget[];
  readonly #strategy: Strategy;
  readonly #candidates: Int32Array;
  /** By target: its share now, which may be changed (slow-start.ts). */
  readonly weights: Float64Array;
  #tier: Tier = "primary";

  constructor(targets: readonly BalancedTarget[], balance: Balance, input: BalancerInput) {
    this.#targets = targets;
    this.weights = Float64Array.from(targets, weightOf);
    this.#strategy = strategyOf(targets, this.weights, balance, input);
    this.#candidates = new Int32Array(targets.length);
    // What is chosen without a client is chosen in turn, in every strategy that keeps turns.
    const all = new Uint8Array(targets.length).fill(1);
    for (let i = 0; i < input.skip % totalWeight(targets); i++) this.pick(all, null, null);
  }

  /** Of the last pick. */
  get tier(): Tier {
    return this.#tier;
  }

  /**
   * @param usable by target: 0 for those that health holds for down (health.ts).
   * @param tried by target: not 0 for those that failed for this connection already; null if none did.
   * @param ip the client's 16 bytes; null if it has none.
   * @returns the target's index, or -1 if there is nothing left to try.
   */
  pick(usable: Uint8Array, tried: Uint8Array | null, ip: Uint8Array | null): number {
    const count = this.#gather(usable, tried);
    if (count === 0) return -1;
    if (count === 1) return this.#candidates[0]!;
    return this.#strategy.choose(this.#candidates, count, ip);
  }

  /** @returns how many candidates there are. */
  #gather(usable: Uint8Array, tried: Uint8Array | null): number {
    for (const rank of RANKS) {
      this.#tier = rank;
      const count = this.#collect(usable, tried, rank);
      if (count > 0) return count;
    }
    if (usable.includes(1)) return 0;
    this.#tier = "down";
    for (const rank of RANKS) {
      const count = this.#collect(null, tried, rank);
      if (count > 0) return count;
    }
    return 0;
  }

  #collect(usable: Uint8Array | null, tried: Uint8Array | null, rank: Rank): number {
    let count = 0;
    for (let i = 0; i < this.#targets.length; i++) {
      if (rankOf(this.#targets[i]!) !== rank) continue;
      if (usable !== null && usable[i] === 0) continue;
      if (tried !== null && tried[i] !== 0) continue;
      this.#candidates[count++] = i;
    }
    return count;
  }
}

function rankOf({ weight, backup }: BalancedTarget): Rank {
  if (weight === 0) return "weightless";
  return backup ? "backup" : "primary";
}

/** Among those without any, all are the same. */
const weightOf = ({ weight }: BalancedTarget): number => Math.max(1, weight);

function totalWeight(targets: readonly BalancedTarget[]): number {
  return targets.reduce((sum, target) => sum + weightOf(target), 0);
}

function strategyOf(
  targets: readonly BalancedTarget[],
  weights: Float64Array,
  balance: Balance,
  { active, slots, random }: BalancerInput,
): Strategy {
  const load: Load = { active, slots: slots ?? Int32Array.from(targets.keys()) };
  switch (balance) {
    case "round_robin":
      return new RoundRobin(weights);
    case "least_connections":
      return new LeastConnections(weights, load);
    case "random":
      return new RandomOfTwo(weights, load, random);
    case "source_hash":
      return new SourceHash(
        weights,
        targets.map(({ name }) => name),
      );
  }
}
