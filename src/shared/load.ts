// How many connections each worker has at this moment, in shared memory: one Int32 for each, written by the worker alone.
// SO_REUSEPORT spreads clients by a hash of their address, so few long connections may well end up on one worker while
// another is idle. A worker that sees that it has too many hands its new client over (Engine.take).

/** Nobody hands anything to a worker with this many: it is not up, or its engine cannot take descriptors. */
const CLOSED = 0x7fff_ffff;

export class LoadBoard {
  readonly #loads: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#loads = new Int32Array(buffer);
  }

  static create(workers: number): SharedArrayBuffer {
    const buffer = new SharedArrayBuffer(workers * Int32Array.BYTES_PER_ELEMENT);
    new Int32Array(buffer).fill(CLOSED);
    return buffer;
  }

  set(worker: number, connections: number): void {
    this.#loads[worker] = connections;
  }

  /** The worker is gone. */
  close(worker: number): void {
    this.#loads[worker] = CLOSED;
  }

  /**
   * Whether a worker with this many is to hand its next client over: another has at least two fewer, and a quarter fewer
   * besides, so that many short connections, which even out by themselves, are left where they are.
   */
  crowded(connections: number): boolean {
    return connections - this.#loads[this.least()]! >= 1 + (connections >>> 2);
  }

  /** The worker with the fewest connections. */
  least(): number {
    let least = 0;
    for (let worker = 1; worker < this.#loads.length; worker++) {
      if (this.#loads[worker]! < this.#loads[least]!) least = worker;
    }
    return least;
  }

  /** Among these; -1 if none of them takes any. */
  leastOf(workers: readonly number[]): number {
    let least = -1;
    for (const worker of workers) {
      const load = this.#loads[worker]!;
      if (load < CLOSED && (least < 0 || load < this.#loads[least]!)) least = worker;
    }
    return least;
  }
}
