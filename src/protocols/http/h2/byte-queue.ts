// Bytes that wait on a stream, in one piece of memory however small the parts were that they came in: a peer that sends its
// window octet by octet must not cost an object for each. Empty queues hold no memory. What they hold is counted for the
// worker (held.ts). Called by streams.

import { HELD } from "../../wire/held.ts";

const NOTHING = new Uint8Array(0);
const FIRST_BYTES = 1_024;

export class ByteQueue {
  #bytes = NOTHING;
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  /** Copies bytes from `from` on. */
  append(bytes: Uint8Array, from: number): void {
    const more = bytes.length - from;
    if (this.#end + more > this.#bytes.length) this.#makeRoom(more);
    this.#bytes.set(from === 0 ? bytes : bytes.subarray(from), this.#end);
    this.#end += more;
    HELD.bytes += more;
  }

  #makeRoom(more: number): void {
    const used = this.length;
    const live = this.#bytes.subarray(this.#start, this.#end);
    if (used + more > this.#bytes.length || used * 2 > this.#bytes.length) {
      this.#bytes = new Uint8Array(
        Math.max(used + more, Math.min(used * 2, used + more + 65_536), FIRST_BYTES),
      );
      this.#bytes.set(live);
    } else this.#bytes.set(live);
    this.#start = 0;
    this.#end = used;
  }

  /** The memory that the bytes stand in, from `start` on; valid until the next append. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get start(): number {
    return this.#start;
  }

  /** Forgets the first `bytes`. */
  shift(bytes: number): void {
    this.#start += bytes;
    HELD.bytes -= bytes;
    if (this.#start === this.#end) this.clear();
  }

  /** Everything, which is forgotten here. */
  takeAll(): Uint8Array {
    const all = this.#bytes.subarray(this.#start, this.#end);
    this.clear();
    return all;
  }

  clear(): void {
    HELD.bytes -= this.length;
    this.#bytes = NOTHING;
    this.#start = this.#end = 0;
  }
}

/** What a stream has before anything waits: not to be appended to. */
export const NO_BYTES = new ByteQueue();
