// Rates that are kept: connections each second, bytes each second. A bucket holds `burst` units and refills at its rate; what
// is in it may go now. Invariant: in any t seconds no more than burst + rate × t units go, and whoever asks often enough
// gets rate × t.
//
//   bucket: lock (Int32) · unused (4) · spent (Float64) · at, milliseconds (Float64)
//
// What was spent is kept, not what is left, so that zeroed memory is full buckets: memory that is shared, for a rate of all
// workers together, or as many buckets as there are rows, each for one connection. Of shared memory `now` must be of one
// clock in all threads. A time before `at` refills nothing and takes nothing away.

import { BURSTS } from "../shared/limits.ts";
import { acquire, release } from "./lock.ts";

const BUCKET_BYTES = 24;
const LOCK_WORDS = BUCKET_BYTES / 4;
const NUMBERS = BUCKET_BYTES / 8;
const SPENT = 1;
const AT = 2;
/** Of a unit: what the arithmetic of refilling may lose. */
const DUST = 1e-6;

export interface BucketRate {
  /** Units. */
  readonly perSecond: number;
  /** Units, at least 1. */
  readonly burst: number;
}

/** `limits.accept_rate`. */
export function acceptRate(perSecond: number): BucketRate {
  return { perSecond, burst: Math.max(1, (perSecond * BURSTS.acceptMs) / 1_000) };
}

/** `limits.bandwidth`. */
export function bandwidthRate(perSecond: number): BucketRate {
  const burst = (perSecond * BURSTS.bandwidthMs) / 1_000;
  return { perSecond, burst: Math.max(BURSTS.bandwidthMinBytes, burst) };
}

export function bucketMemory(count: number): number {
  return count * BUCKET_BYTES;
}

export class TokenBuckets {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #numbers: Float64Array;
  readonly #locks: Int32Array;
  readonly #shared: boolean;

  /** @param memory zeroed, of `bucketMemory` bytes. */
  constructor({ perSecond, burst }: BucketRate, memory: ArrayBuffer | SharedArrayBuffer) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#numbers = new Float64Array(memory);
    this.#locks = new Int32Array(memory);
    this.#shared = memory instanceof SharedArrayBuffer;
  }

  /**
   * Takes what may go now. What then does not go is given back.
   * @param wanted whole units.
   * @returns whole units, at most `wanted`; 0 if it must wait.
   */
  claim(bucket: number, wanted: number, now: number): number {
    this.#enter(bucket);
    const at = bucket * NUMBERS;
    const left = this.#burst - this.#refill(at, now);
    const granted = Math.min(wanted, Math.max(0, Math.floor(left + DUST)));
    this.#numbers[at + SPENT]! += granted;
    this.#leave(bucket);
    return granted;
  }

  /** Units that are gone already: what is missing is paid before anything else goes. */
  spend(bucket: number, units: number, now: number): void {
    this.#enter(bucket);
    this.#refill(bucket * NUMBERS, now);
    this.#numbers[bucket * NUMBERS + SPENT]! += units;
    this.#leave(bucket);
  }

  /** Units that were claimed and not used. */
  giveBack(bucket: number, units: number): void {
    if (units === 0) return;
    this.#enter(bucket);
    const at = bucket * NUMBERS + SPENT;
    this.#numbers[at] = Math.max(0, this.#numbers[at]! - units);
    this.#leave(bucket);
  }

  /** Milliseconds until `units`, or a full bucket if that is less, may go; 0 if they may go now. */
  waitMs(bucket: number, units: number, now: number): number {
    this.#enter(bucket);
    const spent = this.#refill(bucket * NUMBERS, now);
    this.#leave(bucket);
    const missing = Math.min(units, Math.floor(this.#burst)) - (this.#burst - spent);
    return missing <= DUST ? 0 : (missing * 1_000) / this.#perSecond;
  }

  /** Fills a bucket for its next owner. */
  reset(bucket: number): void {
    this.#numbers[bucket * NUMBERS + SPENT] = 0;
  }

  /** @returns what is spent at `now`. */
  #refill(at: number, now: number): number {
    const numbers = this.#numbers;
    const elapsedMs = now - numbers[at + AT]!;
    if (elapsedMs > 0) {
      numbers[at + AT] = now;
      const refilled = (elapsedMs * this.#perSecond) / 1_000;
      numbers[at + SPENT] = Math.max(0, numbers[at + SPENT]! - refilled);
    }
    return numbers[at + SPENT]!;
  }

  #enter(bucket: number): void {
    if (this.#shared) acquire(this.#locks, bucket * LOCK_WORDS);
  }

  #leave(bucket: number): void {
    if (this.#shared) release(this.#locks, bucket * LOCK_WORDS);
  }
}
