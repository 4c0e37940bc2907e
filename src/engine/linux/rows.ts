// The state of every connection of one worker, in columns: an idle connection is some 130 bytes here and holds no buffer.
// A row is a pair of sockets, side 0 the client and side 1 the target. A direction has the index of its source:
//
//   d = 2 * row       client → target      source fd[d]      sink fd[d ^ 1]
//   d = 2 * row + 1   target → client
//
// Columns have their full length from the start and take memory page by page as rows are used.

import { LiveTable } from "../../shared/live-table.ts";

/** A row's state; connections.ts says how they follow. */
export const FREE = 0;
export const CONNECTING = 1;
export const OPEN = 2;
export const CLOSING = 3;
export const ARRIVING = 4; // accepted, and its first bytes are being read

/** Flags of a direction. */
export const READABLE = 1; // the source may have bytes: an edge came and EAGAIN did not yet
export const BLOCKED = 2; // the sink said EAGAIN; an EPOLLOUT edge of the sink clears it
export const EOF = 4; // the source's FIN was read
export const SHUT = 8; // the FIN was passed on: shutdown(sink, SHUT_WR)
export const BULK = 16; // moves by splice; otherwise through the shared buffer
export const UNTIL_EAGAIN = 32; // a short read does not mean drained: FIN seen, unix socket, or urgent data
export const QUEUED = 64; // stands in the relay's queue of directions that used up their turn
export const IN_PIPE = 128; // `held` is a pipe; otherwise a buffer
export const COPY_ONLY = 256; // never turns to splice: urgent data (tcp(7)) stops splice for ever

export class Rows {
  readonly capacity: number;
  /** Shared with the control plane. */
  readonly live: LiveTable;

  readonly state: Uint8Array;
  /** Index into the engine's listeners. */
  readonly listener: Int32Array;
  /**
   * Monotonic milliseconds. While ARRIVING: when the first bytes must be there, in attemptDeadline. While connecting: when the
   * current address, and the whole attempt, are given up. With Fast Open the handshake may go on while the row is OPEN, and
   * `deadline` holds for it.
   */
  readonly attemptDeadline: Float64Array;
  readonly deadline: Float64Array;
  /** The slot of the target that is tried, or connected. */
  readonly target: Uint16Array;
  /** Adopted pairs' id. */
  readonly pair: Int32Array;

  /** By direction. */
  readonly fd: Int32Array;
  readonly flags: Uint16Array;
  /** Bytes read and not yet delivered. */
  readonly pending: Int32Array;
  /** What holds them: a pipe's or a buffer's index, -1 for none. */
  readonly held: Int32Array;
  /** Where the pending bytes begin in a held buffer. */
  readonly offset: Int32Array;
  /** In copy mode: full reads in a row. In bulk mode: small bursts in a row. */
  readonly streak: Uint8Array;

  readonly #free: Int32Array;
  #freeCount = 0;
  #used = 0;
  #open = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.live = LiveTable.create(capacity);
    this.state = new Uint8Array(capacity);
    this.listener = new Int32Array(capacity);
    this.attemptDeadline = new Float64Array(capacity);
    this.deadline = new Float64Array(capacity);
    this.target = new Uint16Array(capacity);
    this.pair = new Int32Array(capacity);
    this.fd = new Int32Array(capacity * 2);
    this.flags = new Uint16Array(capacity * 2);
    this.pending = new Int32Array(capacity * 2);
    this.held = new Int32Array(capacity * 2);
    this.offset = new Int32Array(capacity * 2);
    this.streak = new Uint8Array(capacity * 2);
    this.#free = new Int32Array(capacity);
  }

  /** Rows in use. */
  get open(): number {
    return this.#open;
  }

  /** Every row in use is below this. */
  get used(): number {
    return this.#used;
  }

  get full(): boolean {
    return this.#open === this.capacity;
  }

  /** A free row with cleared columns. Not to be called when full. */
  take(): number {
    const row = this.#freeCount > 0 ? this.#free[--this.#freeCount]! : this.#used++;
    this.#open++;
    for (let d = row * 2; d <= row * 2 + 1; d++) {
      this.fd[d] = -1;
      this.flags[d] = 0;
      this.pending[d] = 0;
      this.held[d] = -1;
      this.streak[d] = 0;
    }
    this.live.bytesUp[row] = 0;
    this.live.bytesDown[row] = 0;
    return row;
  }

  give(row: number): void {
    this.state[row] = FREE;
    this.#free[this.#freeCount++] = row;
    this.#open--;
  }
}
