// Medians with their spread, over the runs of one contestant in one measurement. Called by main.ts and the report.

import type { Sample } from "./engine/measurement.ts";

export interface Spread {
  median: number;
  min: number;
  max: number;
}

export type Summary = Record<string, Spread>;

export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError("no value has no median");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median =
    sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** Every run must have the same keys. */
export function summarize(samples: readonly Sample[]): Summary {
  const keys = Object.keys(samples[0] ?? {});
  return Object.fromEntries(keys.map((key) => [key, spread(samples.map((s) => s[key]!))]));
}
