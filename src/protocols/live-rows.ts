// The rows of a gateway worker in the table of live connections: who stands in which. Invariant: a row is open in the table
// exactly while somebody stands in it. Called by the worker's entry and by every protocol.

import { monotonicMs } from "../shared/clock.ts";
import { IP_BYTES, IPV4_OFFSET, isIPv4 } from "../shared/ip.ts";
import { FAMILY_IPV4, FAMILY_IPV6, FAMILY_UNIX, LiveTable } from "../shared/live-table.ts";

/** A connection, as the worker's entry sees it. */
export interface Resident {
  /** The slot of the target that it leads to alone, or is on its way to; -1: none. */
  readonly targetSlot: number;
  /** Ends it as the peers see a failure, where the protocol has a word for that. */
  reset(): void;
}

/** One end of a connection. `ip` has 16 bytes (shared/ip.ts). */
export interface Peer {
  readonly ip: Uint8Array;
  readonly port: number;
}

export class LiveRows {
  readonly table: LiveTable;
  readonly #residents: (Resident | undefined)[] = [];
  readonly #free: number[] = [];
  #count = 0;

  constructor(capacity: number) {
    this.table = LiveTable.create(capacity);
  }

  /** How many are open. */
  get count(): number {
    return this.#count;
  }

  get full(): boolean {
    return this.#count >= this.table.capacity;
  }

  /** @param slot names the listener. */
  open(resident: Resident, slot: number, client: Peer, target: Peer): number {
    const { table } = this;
    const row = this.#free.pop() ?? this.#residents.length;
    this.#residents[row] = resident;
    this.#count++;
    table.startedMs[row] = monotonicMs();
    table.activeMs[row] = table.startedMs[row]!;
    table.bytesUp[row] = 0;
    table.bytesDown[row] = 0;
    table.slot[row] = slot;
    this.#write(table.clients, row, client);
    this.#write(table.targets, row, target);
    table.open(row);
    return row;
  }

  /** Of a connection whose target was not known when it was opened. @param target null: a unix socket. */
  setTarget(row: number, target: Peer | null): void {
    const { table } = this;
    if (target !== null) this.#write(table.targets, row, target);
    else table.setAddress(table.targets, row, FAMILY_UNIX, 0, NO_BYTES);
  }

  /** Of a connection whose client has said who it is. */
  setClient(row: number, client: Peer): void {
    this.#write(this.table.clients, row, client);
  }

  close(row: number): void {
    this.table.close(row);
    this.#residents[row] = undefined;
    this.#free.push(row);
    this.#count--;
  }

  /** Resets the connection with this id; nothing happens if it is over. */
  reset(id: number): void {
    const row = this.table.rowOf(id);
    if (row >= 0) this.#residents[row]?.reset();
  }

  /** Resets what leads to a target of a listener. @param slot names the listener. */
  resetTarget(slot: number, target: number): void {
    const { table } = this;
    for (const [row, resident] of this.#residents.entries()) {
      if (table.slot[row] === slot && resident?.targetSlot === target) resident.reset();
    }
  }

  #write(column: Uint8Array, row: number, { ip, port }: Peer): void {
    if (ip.length !== IP_BYTES) return this.table.clearAddress(column, row);
    if (isIPv4(ip)) this.table.setAddress(column, row, FAMILY_IPV4, port, ip, IPV4_OFFSET);
    else this.table.setAddress(column, row, FAMILY_IPV6, port, ip);
  }
}

const NO_BYTES = new Uint8Array(0);
