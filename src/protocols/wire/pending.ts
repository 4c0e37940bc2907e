// Bytes that a socket has not taken yet, in one buffer that grows. Invariant: bytes [#start, #end) of the buffer wait, and there
// is a buffer only while any do. Called by wires.
//
//   #buffer │ sent ... │ waits ... │ free ... │
//                  #start        #end

import { WIRE } from "../../shared/limits.ts";
import { HELD } from "./held.ts";
import { POOL } from "./pool.ts";

/** Takes bytes [start, start + length). @returns how many it took, or less than 0 if it takes none any more. */
export type Send = (buffer: Uint8Array, start: number, length: number) => number;

export class Pending {
  #buffer: Uint8Array | null = null;
  #start = 0;
  #end = 0;

  get bytes(): number {
    return this.#end - this.#start;
  }

  /** A copy of bytes [start, end) waits behind what does. */
  push(bytes: Uint8Array, start: number, end: number): void {
    const buffer = this.#reserve(end - start);
    buffer.set(bytes.subarray(start, end), this.#end);
    this.#end += end - start;
    HELD.bytes += end - start;
  }

  #reserve(bytes: number): Uint8Array {
    const waiting = this.#end - this.#start;
    const buffer = this.#buffer;
    if (buffer !== null && this.#end + bytes <= buffer.length) return buffer;
    if (buffer !== null && waiting + bytes <= buffer.length) {
      buffer.copyWithin(0, this.#start, this.#end);
    } else {
      this.#buffer = POOL.take(Math.max(WIRE.pendingMinBytes, waiting + bytes));
      if (buffer !== null) {
        this.#buffer.set(buffer.subarray(this.#start, this.#end));
        POOL.give(buffer);
      }
    }
    this.#start = 0;
    this.#end = waiting;
    return this.#buffer!;
  }

  /** Hands over what waits, as far as `send` takes it. */
  flush(send: Send): void {
    if (this.#buffer === null) return;
    const taken = send(this.#buffer, this.#start, this.#end - this.#start);
    if (taken > 0) {
      this.#start += taken;
      HELD.bytes -= taken;
    }
    if (this.#start === this.#end) this.clear();
  }

  clear(): void {
    const buffer = this.#buffer;
    HELD.bytes -= this.#end - this.#start;
    this.#buffer = null;
    this.#start = this.#end = 0;
    if (buffer !== null) POOL.give(buffer);
  }
}
