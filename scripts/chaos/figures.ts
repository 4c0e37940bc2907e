// What runs of chaos measure of the process under test, and what they make of it. Pure.

import type { DescriptorCounts } from "../../test/support/proc.ts";

export const MIB = 1024 * 1024;
const QUARTER_MIN = 20; // samples, one a second

export interface Sample {
  readonly seconds: number;
  readonly rss: number;
  readonly rows: number;
  readonly open: DescriptorCounts;
}

/** Least squares: bytes a minute. */
export function slopeOf(samples: readonly Sample[]): number {
  const count = samples.length;
  if (count < 2) return 0;
  const mean = (pick: (s: Sample) => number): number =>
    samples.reduce((sum, each) => sum + pick(each), 0) / count;
  const [x, y] = [mean((s) => s.seconds), mean((s) => s.rss)];
  let [over, under] = [0, 0];
  for (const s of samples) {
    over += (s.seconds - x) * (s.rss - y);
    under += (s.seconds - x) ** 2;
  }
  return under === 0 ? 0 : (over / under) * 60;
}

export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;
}

/**
 * The last quarter against the second: by then pools are full and code is compiled. Of a run of seconds it says nothing:
 * 0.
 */
export function growthOf(samples: readonly Sample[]): number {
  const quarter = samples.length >> 2;
  if (quarter < QUARTER_MIN) return 0;
  const rss = samples.map((s) => s.rss);
  return median(rss.slice(-quarter)) - median(rss.slice(quarter, 2 * quarter));
}

export const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
export const counted = ({ all, sockets, pipes }: DescriptorCounts): string =>
  `${all} (${sockets} sockets, ${pipes} pipes)`;
