// How strained the process and each of its threads are, in shared memory: read without a message, and written by one thread each.
// A Float64 for each value; an aligned 8-byte store does not tear (see counters.ts).
//
//   slot   0              1                   2                  3 …
//          memory: share  descriptors: share  lag: the ceiling   then for each thread: due, lag, share
//
// `share` is the part of new work that is turned away, 0 to 1. The control plane is thread 0, and a worker 1 + its index. A
// ceiling of 0 is none.

const MEMORY = 0;
const DESCRIPTORS = 1;
const LAG_CEILING = 2;
const THREADS = 3;
const DUE = 0;
const LAG = 1;
const SHARE = 2;
const THREAD_SLOTS = 3;

export const CONTROL_THREAD = 0;
export const threadOf = (worker: number): number => 1 + worker;

export class StrainBoard {
  readonly #slots: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#slots = new Float64Array(buffer);
  }

  static create(threads: number): SharedArrayBuffer {
    const slots = THREADS + threads * THREAD_SLOTS;
    return new SharedArrayBuffer(slots * Float64Array.BYTES_PER_ELEMENT);
  }

  /** Written by the control plane. */
  setProcess(memoryShare: number, descriptorsShare: number): void {
    this.#slots[MEMORY] = memoryShare;
    this.#slots[DESCRIPTORS] = descriptorsShare;
  }

  set lagCeilingMs(ms: number) {
    this.#slots[LAG_CEILING] = ms;
  }

  get lagCeilingMs(): number {
    return this.#slots[LAG_CEILING]!;
  }

  get memoryShare(): number {
    return this.#slots[MEMORY]!;
  }

  get descriptorsShare(): number {
    return this.#slots[DESCRIPTORS]!;
  }

  /**
   * Written by the thread itself.
   * @param dueMs when it means to write again, of the clock that all threads share; 0: when there is something to do.
   * @param lagMs the worst of the last second.
   */
  setThread(thread: number, dueMs: number, lagMs: number, share: number): void {
    const at = THREADS + thread * THREAD_SLOTS;
    this.#slots[at + DUE] = dueMs;
    this.#slots[at + LAG] = lagMs;
    this.#slots[at + SHARE] = share;
  }

  /** The thread is gone. */
  clear(thread: number): void {
    this.setThread(thread, 0, 0, 0);
  }

  /** One that is late at this moment has not written how late it is. @param nowMs of the clock that all threads share. */
  lagMs(thread: number, nowMs: number): number {
    const at = THREADS + thread * THREAD_SLOTS;
    const due = this.#slots[at + DUE]!;
    return Math.max(this.#slots[at + LAG]!, due > 0 ? nowMs - due : 0);
  }

  lagShare(thread: number): number {
    return this.#slots[THREADS + thread * THREAD_SLOTS + SHARE]!;
  }
}
