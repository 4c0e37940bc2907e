// The table of live connections of one worker, in shared memory: the worker writes its rows as it works, the control plane
// reads them without a message. Columns, not rows, so that a sweep over one property touches little memory.
//
// A row's generation is odd while the row is in use and grows by one at each opening and closing. A reader that finds the
// same odd generation before and after it read a row has read one connection, not two halves.
//
//   header: capacity, used (highest row ever used + 1)
//   columns: startedMs, activeMs, bytesUp, bytesDown (Float64) · generation, slot (Int32) · client, target (20 bytes each)
//   address: family (0 unix, 4, 6) · flags · port, big endian (2) · IPv4 or IPv6 bytes (16)

import { formatIPv6, IPV4_OFFSET, isIPv4 } from "./ip.ts";

const HEADER_BYTES = 16;
const ADDRESS_BYTES = 20;
const ROW_BYTES = 4 * 8 + 2 * 4 + 2 * ADDRESS_BYTES;

/** Flag of a client's address: limits.max_per_ip counts it, until the connection ends. */
const COUNTED = 1;

export const FAMILY_UNIX = 0;
export const FAMILY_IPV4 = 4;
export const FAMILY_IPV6 = 6;

export interface LiveConnection {
  /** Names this connection as long as it lives; never reused within a worker before 2^30 connections in the same row. */
  readonly id: number;
  /** OpenRequest.slot of its listener; -1 for an adopted pair. */
  readonly slot: number;
  /** `127.0.0.1:5123`, `[::1]:5123` or `unix:`. */
  readonly client: string;
  /** As `client`; empty while the target is being connected. */
  readonly target: string;
  /** Unix time in milliseconds. */
  readonly startedMs: number;
  readonly activeMs: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

export class LiveTable {
  readonly buffer: SharedArrayBuffer;
  readonly capacity: number;
  readonly startedMs: Float64Array;
  readonly activeMs: Float64Array;
  readonly bytesUp: Float64Array;
  readonly bytesDown: Float64Array;
  readonly generation: Int32Array;
  readonly slot: Int32Array;
  readonly clients: Uint8Array;
  readonly targets: Uint8Array;
  readonly #header: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#header = new Int32Array(buffer, 0, HEADER_BYTES / 4);
    const capacity = this.#header[0]!;
    this.capacity = capacity;
    let offset = HEADER_BYTES;
    const f64 = (): Float64Array => {
      const column = new Float64Array(buffer, offset, capacity);
      offset += capacity * 8;
      return column;
    };
    const i32 = (): Int32Array => {
      const column = new Int32Array(buffer, offset, capacity);
      offset += capacity * 4;
      return column;
    };
    this.startedMs = f64();
    this.activeMs = f64();
    this.bytesUp = f64();
    this.bytesDown = f64();
    this.generation = i32();
    this.slot = i32();
    this.clients = new Uint8Array(buffer, offset, capacity * ADDRESS_BYTES);
    this.targets = new Uint8Array(
      buffer,
      offset + capacity * ADDRESS_BYTES,
      capacity * ADDRESS_BYTES,
    );
  }

  /** A table of zero pages: memory is taken as rows are used. */
  static create(capacity: number): LiveTable {
    const buffer = new SharedArrayBuffer(HEADER_BYTES + capacity * ROW_BYTES);
    new Int32Array(buffer)[0] = capacity;
    return new LiveTable(buffer);
  }

  /** Marks a row as in use. The caller fills the columns first. */
  open(row: number): void {
    this.generation[row] = this.generation[row]! + 1;
    if (row >= this.#header[1]!) this.#header[1] = row + 1;
  }

  close(row: number): void {
    this.generation[row] = this.generation[row]! + 1;
  }

  isOpen(row: number): boolean {
    return (this.generation[row]! & 1) === 1;
  }

  idOf(row: number): number {
    return (this.generation[row]! >>> 1) * this.capacity + row;
  }

  /** The row that an id names, or -1 if that connection is over. */
  rowOf(id: number): number {
    const row = id % this.capacity;
    return this.isOpen(row) && this.idOf(row) === id ? row : -1;
  }

  /** What the connection with this id has moved so far; null if it is over. */
  bytesOf(id: number): { bytesUp: number; bytesDown: number } | null {
    const row = this.rowOf(id);
    if (row < 0) return null;
    const bytes = { bytesUp: this.bytesUp[row]!, bytesDown: this.bytesDown[row]! };
    return this.rowOf(id) === row ? bytes : null;
  }

  /** Sets the address and clears its flags. @param offset where the 4 or 16 bytes of the address begin in `bytes`. */
  setAddress(
    column: Uint8Array,
    row: number,
    family: number,
    port: number,
    bytes: Uint8Array,
    offset = 0,
  ): void {
    const at = row * ADDRESS_BYTES;
    column[at] = family;
    column[at + 1] = 0;
    column[at + 2] = port >>> 8;
    column[at + 3] = port & 0xff;
    const length = family === FAMILY_IPV4 ? 4 : family === FAMILY_IPV6 ? 16 : 0;
    for (let i = 0; i < length; i++) column[at + 4 + i] = bytes[offset + i]!;
  }

  /** The client is another one than who connected: a PROXY header names it. @param ip 16 bytes, IPv4 mapped (ip.ts). */
  setClientIp(row: number, ip: Uint8Array, port: number): void {
    const v4 = isIPv4(ip);
    const family = v4 ? FAMILY_IPV4 : FAMILY_IPV6;
    this.setAddress(this.clients, row, family, port, ip, v4 ? IPV4_OFFSET : 0);
  }

  clientPort(row: number): number {
    const at = row * ADDRESS_BYTES;
    return (this.clients[at + 2]! << 8) | this.clients[at + 3]!;
  }

  /** @param into takes 16 bytes, IPv4 mapped (ip.ts). @returns false for a client without an IP address. */
  copyClientIp(row: number, into: Uint8Array): boolean {
    const at = row * ADDRESS_BYTES;
    const family = this.clients[at];
    if (family !== FAMILY_IPV4 && family !== FAMILY_IPV6) return false;
    const v4 = family === FAMILY_IPV4;
    const skip = v4 ? IPV4_OFFSET : 0;
    if (v4) into.fill(0, 0, 10).fill(0xff, 10, IPV4_OFFSET);
    for (let i = skip; i < into.length; i++) into[i] = this.clients[at + 4 + i - skip]!;
    return true;
  }

  /** The client's address, as it is now, is counted: whoever ends the connection, or finds it left behind, counts it out. */
  setCounted(row: number, counted: boolean): void {
    this.clients[row * ADDRESS_BYTES + 1] = counted ? COUNTED : 0;
  }

  isCounted(row: number): boolean {
    return this.clients[row * ADDRESS_BYTES + 1] === COUNTED;
  }

  /** Rows below this have been used. */
  get used(): number {
    return this.#header[1]!;
  }

  clearAddress(column: Uint8Array, row: number): void {
    column[row * ADDRESS_BYTES] = 0xff;
    column[row * ADDRESS_BYTES + 1] = 0;
  }

  clientOf(row: number): string {
    return formatAddress(this.clients, row * ADDRESS_BYTES);
  }

  targetOf(row: number): string {
    return formatAddress(this.targets, row * ADDRESS_BYTES);
  }

  addressesOf(row: number): { client: string; target: string } {
    return { client: this.clientOf(row), target: this.targetOf(row) };
  }

  /** The connections that are open now. */
  read(): LiveConnection[] {
    const live: LiveConnection[] = [];
    for (let row = 0; row < this.used; row++) {
      const connection = this.at(row);
      if (connection !== null) live.push(connection);
    }
    return live;
  }

  /** The connection in this row; null if there is none, or if it changed while it was read. */
  at(row: number): LiveConnection | null {
    const generation = this.generation[row]!;
    if ((generation & 1) === 0) return null;
    const connection = {
      id: this.idOf(row),
      slot: this.slot[row]!,
      client: this.clientOf(row),
      target: this.targetOf(row),
      startedMs: this.startedMs[row]!,
      activeMs: this.activeMs[row]!,
      bytesUp: this.bytesUp[row]!,
      bytesDown: this.bytesDown[row]!,
    };
    return this.generation[row] === generation ? connection : null;
  }
}

function formatAddress(column: Uint8Array, at: number): string {
  const family = column[at]!;
  if (family === FAMILY_UNIX) return "unix:";
  const port = (column[at + 2]! << 8) | column[at + 3]!;
  if (family === FAMILY_IPV4) {
    return `${column[at + 4]}.${column[at + 5]}.${column[at + 6]}.${column[at + 7]}:${port}`;
  }
  if (family === FAMILY_IPV6) return `[${formatIPv6(column.subarray(at + 4, at + 20))}]:${port}`;
  return "";
}
