// Medians with their spread, over the runs of one contestant in one measurement. Pure. Called by measure.ts and the measurements.

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

/** A figure that a run lacks does not count; one that all lack is not there. */
export function summarize(samples: readonly Sample[]): Summary {
  const keys = new Set(samples.flatMap((sample) => Object.keys(sample)));
  const values = (key: string): number[] => samples.flatMap((sample) => sample[key] ?? []);
  return Object.fromEntries([...keys].map((key) => [key, spread(values(key))]));
}

/** What the least of the `count` largest is of the largest, in percent: 100 if they share evenly. */
export function evenness(values: Iterable<number>, count: number): number {
  const sorted = [...values].toSorted((a, b) => b - a);
  const [most] = sorted;
  return most === undefined || most === 0 ? 0 : ((sorted[count - 1] ?? 0) / most) * 100;
}
