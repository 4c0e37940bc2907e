// What the ring adds to the columns of rows.ts: for each direction (a lane) the buffers that were received and not yet sent,
// and for each row how many operations the kernel still has, and what follows when it has none.

import type { Buffers } from "./buffers.ts";

/** How a row's bytes move. */
export const RING = 0; // receive and send operations: for messages
export const RELAY = 1; // polls, and the relay of engine/linux: for bulk, and for readers that stall
/** What follows when the kernel has no operation of the row any more. */
export const NOTHING = 0;
export const CLOSE = 1;
export const TO_RELAY = 2;
export const TO_RING = 3;

export class Lanes {
  /** By row. */
  readonly mode: Uint8Array;
  readonly inFlight: Uint8Array;
  readonly after: Uint8Array;
  /** By direction: received buffers, oldest first; -1 for none. */
  readonly first: Int32Array;
  readonly last: Int32Array;
  readonly queued: Uint16Array;
  /** Bytes of the first buffer that are sent already. */
  readonly offset: Int32Array;
  /** A receive operation is with the kernel. */
  readonly receiving: Uint8Array;
  /** Each receive operation is for one result only. */
  readonly once: Uint8Array;
  /** A send operation is. */
  readonly sending: Uint8Array;
  /** Full buffers received in a row, with more behind them. */
  readonly full: Uint8Array;
  /** The error number with which the sink refused bytes; 0 for none. */
  readonly failed: Uint8Array;
  /** By buffer: the next one in its queue, and how many bytes it has. */
  readonly next: Int32Array;
  readonly length: Int32Array;
  readonly #buffers: Buffers;

  constructor(rows: number, buffers: Buffers) {
    this.#buffers = buffers;
    this.mode = new Uint8Array(rows);
    this.inFlight = new Uint8Array(rows);
    this.after = new Uint8Array(rows);
    this.first = new Int32Array(rows * 2);
    this.last = new Int32Array(rows * 2);
    this.queued = new Uint16Array(rows * 2);
    this.offset = new Int32Array(rows * 2);
    this.receiving = new Uint8Array(rows * 2);
    this.once = new Uint8Array(rows * 2);
    this.sending = new Uint8Array(rows * 2);
    this.full = new Uint8Array(rows * 2);
    this.failed = new Uint8Array(rows * 2);
    this.next = new Int32Array(buffers.count);
    this.length = new Int32Array(buffers.count);
  }

  /** A row that was just taken. */
  clear(row: number): void {
    this.mode[row] = RING;
    this.inFlight[row] = 0;
    this.after[row] = NOTHING;
    for (let d = row * 2; d <= row * 2 + 1; d++) {
      this.first[d] = -1;
      this.last[d] = -1;
      this.queued[d] = 0;
      this.offset[d] = 0;
      this.receiving[d] = 0;
      this.once[d] = 0;
      this.sending[d] = 0;
      this.full[d] = 0;
      this.failed[d] = 0;
    }
  }

  /**
   * @param more the socket held more than was taken: a buffer that a message just fills shows no bulk. Unix sockets tell that
   * since Linux 6.17 only, so it is assumed of them.
   */
  append(d: number, buffer: number, bytes: number, more: boolean): void {
    if (bytes < this.#buffers.bytes) this.full[d] = 0;
    else if (more || this.once[d] === 1) this.full[d]!++;
    this.length[buffer] = bytes;
    this.next[buffer] = -1;
    if (this.first[d]! < 0) this.first[d] = buffer;
    else this.next[this.last[d]!] = buffer;
    this.last[d] = buffer;
    this.queued[d]!++;
  }

  /** The first `bytes` bytes of the queue are sent: their buffers go back to the kernel. */
  consume(d: number, bytes: number): void {
    let left = bytes + this.offset[d]!;
    let buffer = this.first[d]!;
    while (buffer >= 0 && left >= this.length[buffer]!) {
      left -= this.length[buffer]!;
      const following = this.next[buffer]!;
      this.#buffers.recycle(buffer);
      this.queued[d]!--;
      buffer = following;
    }
    this.first[d] = buffer;
    if (buffer < 0) this.last[d] = -1;
    this.offset[d] = left;
  }

  /** Bytes that wait in a direction's queue. */
  waiting(d: number): number {
    let bytes = -this.offset[d]!;
    for (let b = this.first[d]!; b >= 0; b = this.next[b]!) bytes += this.length[b]!;
    return bytes;
  }

  /** Copies the queue out, in order, and gives its buffers back. */
  drainTo(d: number, target: Uint8Array): void {
    let at = 0;
    let from = this.offset[d]!;
    for (let b = this.first[d]!; b >= 0; b = this.next[b]!) {
      const part = this.#buffers.slice(b, from, this.length[b]!);
      target.set(part, at);
      at += part.length;
      from = 0;
    }
    this.consume(d, at);
  }
}
