// What a listener and those that it replaced have counted, as one: a reload is no new beginning. Pure. Called by listeners.ts.

import type { ListenerStats } from "../shared/counters.ts";

type Counts = { [name: string]: number | string | Counts | readonly object[] };

/** Targets that only `past` has are told of while there are connections to them. */
export function joinStats(current: ListenerStats, past: ListenerStats): ListenerStats {
  const sum = structuredClone(current);
  addCounts(sum as unknown as Counts, past as unknown as Counts);
  for (const target of past.targets) {
    const same = sum.targets.find(({ name }) => name === target.name);
    if (same !== undefined) addCounts(same as unknown as Counts, target as unknown as Counts);
    else if (target.active > 0) sum.targets.push({ ...target });
  }
  return sum;
}

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
