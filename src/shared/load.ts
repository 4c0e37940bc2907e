// How many connections each worker has at this moment, in shared memory. SO_REUSEPORT spreads clients by a hash of their address,
// so few long connections may well end up on one worker while another is idle. A worker that sees that it has too many hands
// its new client over (Engine.take).
//
//   Int32: own of worker 0, 1, … (written by the worker alone) · on their way to worker 0, 1, … (by the control plane alone)
//
// Those on their way count: a crowd that comes at once is handed over before the first of them has arrived, and all of it
// would go to whoever had the fewest when it began.

/** Nobody hands anything to a worker with this many: it is not up, or its engine cannot take descriptors. */
const CLOSED = 0x7fff_ffff;

export class LoadBoard {
  readonly #own: Int32Array;
  readonly #coming: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    const both = new Int32Array(buffer);
    this.#own = both.subarray(0, both.length / 2);
    this.#coming = both.subarray(both.length / 2);
  }

  static create(workers: number): SharedArrayBuffer {
    const buffer = new SharedArrayBuffer(2 * workers * Int32Array.BYTES_PER_ELEMENT);
    new Int32Array(buffer).fill(CLOSED, 0, workers);
    return buffer;
  }

  set(worker: number, connections: number): void {
    this.#own[worker] = connections;
  }

  /** The worker is gone. */
  close(worker: number): void {
    this.#own[worker] = CLOSED;
  }

  /** @param change of how many are on their way to this worker: 1, or -1. */
  coming(worker: number, change: number): void {
    this.#coming[worker]! += change;
  }

  /**
   * Whether a worker with this many is to hand its next client over: another has at least two fewer, and a quarter fewer
   * besides, so that many short connections, which even out by themselves, are left where they are.
   */
  crowded(connections: number): boolean {
    let least = CLOSED;
    for (let worker = 0; worker < this.#own.length; worker++) {
      const load = this.#loadOf(worker);
      if (load < least) least = load;
    }
    return connections - least >= 1 + (connections >>> 2);
  }

  /** The worker with the fewest connections among these; -1 if none of them takes any. */
  leastOf(workers: readonly number[]): number {
    let least = -1;
    for (const worker of workers) {
      const isUp = this.#own[worker]! < CLOSED;
      if (isUp && (least < 0 || this.#loadOf(worker) < this.#loadOf(least))) least = worker;
    }
    return least;
  }

  /** Of all workers together, without those on their way: one that has just arrived may still stand there, too. */
  get total(): number {
    let total = 0;
    for (let worker = 0; worker < this.#own.length; worker++) {
      if (this.#own[worker]! < CLOSED) total += this.#own[worker]!;
    }
    return total;
  }

  /** How many workers there may be. */
  get places(): number {
    return this.#own.length;
  }

  #loadOf(worker: number): number {
    return this.#own[worker]! + this.#coming[worker]!;
  }
}
