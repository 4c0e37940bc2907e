// Medians with their spread, over the runs of one contestant in one measurement, and over the quotients of two contestants, run
// by run. Pure. Called by measure.ts, against.ts and the measurements.

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

/** A median, and where it lies with at least 95 % confidence. */
export interface Quotient {
  median: number;
  low: number;
  high: number;
}

/** Of a two-sided interval: what may lie outside on each side. */
const TAIL = 0.025;

/**
 * The median of quotients and its interval by ranks (that of the sign test), which supposes nothing of how they are spread.
 * Fewer than six have no such interval: it is from the least to the largest then.
 */
export function quotient(values: readonly number[]): Quotient {
  const { median } = spread(values);
  const sorted = values.toSorted((a, b) => a - b);
  const count = sorted.length;
  // How many of them may lie beside the interval: as many as `count` tosses of a coin show heads in one of 40 cases at most.
  let beside = 0;
  let probability = 0.5 ** count;
  for (let sum = probability; sum <= TAIL; sum += probability) {
    beside++;
    probability *= (count - beside + 1) / beside;
  }
  beside = Math.max(0, beside - 1);
  return { median, low: sorted[beside]!, high: sorted[count - 1 - beside]! };
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
