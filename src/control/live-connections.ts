// Live connections of all workers, as they are asked for: looked for by what stands in columns, counted, and those that move
// most. Invariant: one pass over the columns; text is made of the rows that are told of, and where text is looked for. Called
// by the proxy.

import { Largest } from "../shared/largest.ts";
import type { LiveTable } from "../shared/live-table.ts";
import type { ProxyConnection } from "./proxy-state.ts";

/** Whose table it is. */
interface Holder {
  readonly index: number;
  readonly live: LiveTable;
}

/** All that are given must fit. */
export interface ConnectionFilter {
  /** ListenerPlan.key. */
  readonly listener?: string | undefined;
  /** What its address begins with. */
  readonly client?: string | undefined;
  readonly target?: string | undefined;
  readonly worker?: number | undefined;
  /** Fits only together with `worker`. */
  readonly id?: number | undefined;
}

export interface FoundConnections {
  /** How many there are, whatever the limit. */
  readonly matching: number;
  readonly connections: ProxyConnection[];
}

export class LiveConnections {
  readonly #holders: () => readonly Holder[];
  readonly #keyOf: (slot: number) => string;

  constructor(holders: () => readonly Holder[], keyOf: (slot: number) => string) {
    this.#holders = holders;
    this.#keyOf = keyOf;
  }

  count(): number {
    return this.#holders().reduce((sum, { live }) => sum + countOf(live), 0);
  }

  /** @param limit how many are told of at most. */
  find(filter: ConnectionFilter, limit: number): FoundConnections {
    const { client = "", target = "", listener, worker, id } = filter;
    const connections: ProxyConnection[] = [];
    let matching = 0;
    for (const { index, live } of this.#holders()) {
      if (worker !== undefined && worker !== index) continue;
      if (id !== undefined && worker === undefined) break;
      for (let row = 0; row < live.used; row++) {
        if (!live.isOpen(row) || (id !== undefined && live.idOf(row) !== id)) continue;
        if (listener !== undefined && this.#keyOf(live.slot[row]!) !== listener) continue;
        if (client !== "" && !live.clientOf(row).startsWith(client)) continue;
        if (target !== "" && !live.targetOf(row).startsWith(target)) continue;
        if (connections.length < limit) {
          const found = this.at(index, live, row);
          if (found === null) continue;
          connections.push(found);
        }
        matching++;
      }
    }
    return { matching, connections };
  }

  at(worker: number, live: LiveTable, row: number): ProxyConnection | null {
    const connection = live.at(row);
    if (connection === null) return null;
    return { ...connection, worker, listener: this.#keyOf(connection.slot) };
  }

  get holders(): readonly Holder[] {
    return this.#holders();
  }
}

function countOf(live: LiveTable): number {
  let count = 0;
  for (let row = 0; row < live.used; row++) count += live.generation[row]! & 1;
  return count;
}

/** What a row had moved when it was looked at last. */
interface Before {
  readonly live: LiveTable;
  bytes: Float64Array;
  generation: Int32Array;
}

/** The connections that move most, from one look to the next; the first look is about all that they ever moved. */
export class BusiestConnections {
  readonly #all: LiveConnections;
  #before: readonly Before[] = [];

  constructor(all: LiveConnections) {
    this.#all = all;
  }

  /** @param most how many are told of at most: most bytes first. */
  look(most: number): FoundConnections {
    const { holders } = this.#all;
    const largest = new Largest(most);
    this.#before = holders.map(({ live }) => this.#beforeOf(live));
    let matching = 0;
    for (const [place, before] of this.#before.entries()) {
      matching += offerAll(before, place, largest);
    }
    const connections = largest.take().flatMap(({ place, row }) => {
      const { index, live } = holders[place]!;
      return this.#all.at(index, live, row) ?? [];
    });
    return { matching, connections };
  }

  #beforeOf(live: LiveTable): Before {
    const known = this.#before.find((each) => each.live === live);
    const before = known ?? { live, bytes: new Float64Array(0), generation: new Int32Array(0) };
    if (before.bytes.length >= live.used) return before;
    const rows = Math.min(live.capacity, Math.max(1_024, live.used * 2));
    const { bytes, generation } = before;
    before.bytes = new Float64Array(rows);
    before.bytes.set(bytes);
    before.generation = new Int32Array(rows);
    before.generation.set(generation);
    return before;
  }
}

/** @returns how many rows are open. */
function offerAll(before: Before, place: number, largest: Largest): number {
  const { live, bytes, generation } = before;
  const used = Math.min(live.used, bytes.length);
  let open = 0;
  for (let row = 0; row < used; row++) {
    const now = live.generation[row]!;
    if ((now & 1) === 0) continue;
    open++;
    const total = live.bytesUp[row]! + live.bytesDown[row]!;
    largest.offer(total - (generation[row] === now ? bytes[row]! : 0), place, row);
    bytes[row] = total;
    generation[row] = now;
  }
  return open;
}
