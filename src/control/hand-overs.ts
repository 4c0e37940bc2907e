// Clients on their way from a worker that has too many connections to one that has few (shared/load.ts). A client is a
// descriptor of this process; until the other worker says that it took it, it is ours, and a worker that is gone by then does
// not take it with it.

import { closeSync } from "node:fs";

import type { LoadBoard } from "../shared/load.ts";
import type { WorkerHandle } from "./worker-handle.ts";

type Taker = Pick<WorkerHandle, "index" | "post">;

interface HandOver {
  readonly slot: number;
  readonly fd: number;
  readonly worker: number;
}

export class HandOvers<T extends Taker> {
  readonly #load: LoadBoard;
  /** The workers that accept on this listener at this moment. */
  readonly #workersOf: (slot: number) => readonly T[];
  readonly #pending = new Map<number, HandOver>();
  #nextId = 1;

  constructor(load: LoadBoard, workersOf: (slot: number) => readonly T[]) {
    this.#load = load;
    this.#workersOf = workersOf;
  }

  /** How many are under way. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Whether a client of this listener is on its way: it counts nowhere meanwhile. */
  has(slot: number): boolean {
    return [...this.#pending.values()].some((handOver) => handOver.slot === slot);
  }

  /**
   * Gives a client to the worker with the fewest connections, which may be the one that it comes from.
   * @returns that worker; undefined if there is none, and the client is closed.
   */
  give(slot: number, fd: number): T | undefined {
    const workers = this.#workersOf(slot);
    const index = this.#load.leastOf(workers.map((worker) => worker.index));
    const worker = workers.find((each) => each.index === index);
    if (worker === undefined) {
      closeSync(fd);
      return undefined;
    }
    const id = this.#nextId++;
    this.#pending.set(id, { slot, fd, worker: index });
    this.#load.coming(index, 1);
    worker.post({ type: "take", id, slot, fd });
    return worker;
  }

  took(id: number): void {
    this.#arrived(id);
  }

  /** It is on its way no more, wherever it is. */
  #arrived(id: number): void {
    const handOver = this.#pending.get(id);
    if (handOver === undefined) return;
    this.#pending.delete(id);
    this.#load.coming(handOver.worker, -1);
  }

  /** What was on its way to a worker that is gone goes to another. */
  retire(worker: number): void {
    for (const [id, handOver] of this.#pending) {
      if (handOver.worker !== worker) continue;
      this.#arrived(id);
      this.give(handOver.slot, handOver.fd);
    }
  }
}
