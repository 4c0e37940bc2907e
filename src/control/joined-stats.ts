// What a listener and those that it replaced have counted, as one: a reload is no new beginning. Pure. Called by listeners.ts.

import type { ListenerStats } from "../shared/counters.ts";
import { METRICS } from "../shared/metrics-limits.ts";

type Counts = { [name: string]: number | string | Counts | readonly object[] };

/** Targets and routes that only `past` has are told of while something is under way there. */
export function joinStats(current: ListenerStats, past: ListenerStats): ListenerStats {
  return join(current, past, ({ active }) => active > 0);
}

/**
 * What is remembered of listeners that are over: also targets and routes that `recent` has no more, since they may come back.
 * Those that were there longest ago are forgotten first. Nothing is open any more: connections to backends that rest are closed
 * with the last client, and a moment later counted.
 */
export function rememberStats(recent: ListenerStats, past?: ListenerStats): ListenerStats {
  const sum = past === undefined ? structuredClone(recent) : join(recent, past, () => true);
  sum.routes.splice(METRICS.rememberedMax);
  sum.targets.splice(METRICS.rememberedMax);
  for (const each of [sum, sum.http, ...sum.routes, ...sum.targets]) each.active = 0;
  return sum;
}

function join(
  current: ListenerStats,
  past: ListenerStats,
  isTold: (of: { active: number }) => boolean,
): ListenerStats {
  const sum = structuredClone(current);
  addCounts(sum as unknown as Counts, past as unknown as Counts);
  addEach(sum.routes, past.routes, isTold);
  addEach(sum.targets, past.targets, isTold);
  return sum;
}

interface Named {
  readonly name: string;
  /** Of a target: the same may stand in several. */
  readonly route?: string;
  active: number;
}

function addEach<T extends Named>(sums: T[], past: readonly T[], isTold: (of: T) => boolean): void {
  const byName = new Map(sums.map((each) => [nameOf(each), each]));
  for (const each of past) {
    const same = byName.get(nameOf(each));
    if (same !== undefined) addCounts(same as unknown as Counts, each as unknown as Counts);
    else if (isTold(each)) sums.push(structuredClone(each));
  }
}

const nameOf = ({ name, route }: Named): string => `${name} ${route}`;

function addCounts(sum: Counts, more: Counts): void {
  for (const [name, value] of Object.entries(more)) {
    if (name === "states") continue; // nobody is sent to the past ones, whatever is seen of them
    const own = sum[name];
    if (typeof value === "number" && typeof own === "number") sum[name] = own + value;
    else if (isCounts(value) && isCounts(own)) addCounts(own, value);
  }
}

function isCounts(value: Counts[string] | undefined): value is Counts {
  return typeof value === "object" && !Array.isArray(value);
}
