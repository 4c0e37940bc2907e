// How long answers took, of a histogram's buckets: the difference of two readings, and its percentiles. Pure. Called by
// history.ts.

export interface Buckets {
  /** The most that an answer of each bucket took, in ms; the last bucket of `counts` is beyond all of them. */
  readonly boundsMs: readonly number[];
  readonly counts: readonly number[];
}

/** @returns null: they cannot be compared, since it began anew or has other bounds. */
export function difference(now: Buckets, before: Buckets): Buckets | null {
  if (now.counts.length !== before.counts.length) return null;
  const counts = now.counts.map((count, i) => count - before.counts[i]!);
  return counts.some((count) => count < 0) ? null : { boundsMs: now.boundsMs, counts };
}

export function sum(all: readonly Buckets[]): Buckets | null {
  const [first] = all;
  if (first === undefined) return null;
  const alike = all.filter(({ counts }) => counts.length === first.counts.length);
  const counts = first.counts.map((_, i) =>
    alike.reduce((total, each) => total + each.counts[i]!, 0),
  );
  return { boundsMs: first.boundsMs, counts };
}

/**
 * @param share 0.99: what 99 of 100 answers took at most, as if those of a bucket lay evenly in it.
 * @returns in ms; null: there was no answer. What lies beyond the last bound is said to be that bound.
 */
export function percentile({ boundsMs, counts }: Buckets, share: number): number | null {
  const total = counts.reduce((all, count) => all + count, 0);
  if (total === 0) return null;
  const wanted = total * share;
  let below = 0;
  for (const [i, count] of counts.entries()) {
    if (count > 0 && below + count >= wanted) {
      const from = boundsMs[i - 1] ?? 0;
      const to = boundsMs[i] ?? from;
      return from + ((to - from) * (wanted - below)) / count;
    }
    below += count;
  }
  return boundsMs.at(-1) ?? null;
}
