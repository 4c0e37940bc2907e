// What all workers have counted of one listener: those that are there, and those that are gone. Invariant: what a worker counted
// outlives it, and what it held open does not. Called by listener.ts.

import {
  addCounters,
  createCounters,
  emptyStats,
  type ListenerStats,
  type TargetStats,
} from "../shared/counters.ts";
import type { ListenerPlan } from "../shared/plan.ts";
import { countedRoutesOf, routesOfGroups } from "../shared/route-names.ts";

/** A target's place in a plan. */
export interface TargetPlace {
  readonly name: string;
  readonly group: number;
}

export class ListenerCounts {
  /** By place in counters. */
  readonly #routes: readonly string[];
  readonly #routesOfGroups: readonly string[];
  readonly #targets: number;
  readonly #retired: ListenerStats;

  /** @param targets slots of targets are below this. */
  constructor(plan: ListenerPlan, targets: number) {
    this.#routes = countedRoutesOf(plan);
    this.#routesOfGroups = routesOfGroups(plan);
    this.#targets = targets;
    this.#retired = this.#empty();
  }

  #empty(): ListenerStats {
    const stats = emptyStats(this.#targets, this.#routes.length);
    this.#routes.forEach((name, i) => (stats.routes[i]!.name = name));
    return stats;
  }

  /** For a worker that is to serve the listener. */
  create(): SharedArrayBuffer {
    return createCounters(this.#targets, this.#routes.length);
  }

  /** The worker that wrote these is gone. @returns how many connections it held. */
  retire(counters: SharedArrayBuffer): number {
    const before = this.#retired;
    const { active, http, routes, targets } = before;
    const open = { active, http: http.active, routes: actives(routes), targets: actives(targets) };
    addCounters(before, counters);
    const held = before.active - open.active;
    before.active = open.active;
    before.http.active = open.http;
    routes.forEach((route, i) => (route.active = open.routes[i]!));
    targets.forEach((target, i) => {
      target.active = open.targets[i]!;
      target.states = emptyStats(1).targets[0]!.states; // it sees nothing any more
    });
    return held;
  }

  /** @param places of the targets, by slot. Those of the others are not told of. */
  sum(
    counters: Iterable<SharedArrayBuffer>,
    places: ReadonlyMap<number, TargetPlace>,
  ): ListenerStats {
    const sum = structuredClone(this.#retired);
    for (const each of counters) addCounters(sum, each);
    sum.targets = sum.targets.flatMap((target, slot): TargetStats[] => {
      const place = places.get(slot);
      if (place === undefined) return [];
      const { name, group } = place;
      return [{ ...target, name, route: this.#routesOfGroups[group]! }];
    });
    return sum;
  }
}

const actives = (of: readonly { active: number }[]): number[] => of.map(({ active }) => active);
