// Times in a fixed amount of memory, each to within 1/128: the buckets are exact up to 25.6 µs, and from there on 128
// for each doubling, as in HdrHistogram. Nothing is sampled away, so that the 99.9th percentile is what it says.
// Pure; called by the load programs.

const TICK_MS = 0.0001; // 100 ns: no clock here says less
const BITS = 7;
const PER_DOUBLING = 1 << BITS;
const TICKS_MAX = 2 ** 32 - 1; // 429 s
const BUCKETS = bucketOf(TICKS_MAX) + 1;

function bucketOf(ticks: number): number {
  const shift = Math.max(0, 31 - Math.clz32(ticks) - BITS);
  return shift * PER_DOUBLING + (ticks >>> shift);
}

/** The largest time that falls into the bucket. */
function ticksOf(bucket: number): number {
  const shift = Math.max(0, Math.floor(bucket / PER_DOUBLING) - 1);
  return (bucket - shift * PER_DOUBLING + 1) * 2 ** shift - 1;
}

export class Histogram {
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  record(ms: number): void {
    const ticks = Math.min(Math.max(Math.round(ms / TICK_MS), 0), TICKS_MAX);
    this.#counts[bucketOf(ticks)]!++;
    this.#count++;
  }

  /** The time in µs within which this share of all times lies; 0 if none was recorded. */
  percentileUs(share: number): number {
    const wanted = Math.max(1, Math.ceil(this.#count * share));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket]!;
      if (seen >= wanted) return ticksOf(bucket) * TICK_MS * 1000;
    }
    return 0;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#count = 0;
  }
}
