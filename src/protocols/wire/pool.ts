// Buffers that are used again, in sizes of powers of two: for bytes that a socket did not take, for heads that come in pieces.
// Invariant: what is kept unused is bounded by WIRE.poolMaxBytes; whoever takes a buffer gives it back once, and does not touch
// it any more. Its contents are what the last user left.

import { WIRE } from "../../shared/limits.ts";

export class BufferPool {
  readonly #maxBytes: number;
  /** By log2 of their length. */
  readonly #classes: Uint8Array[][] = [];
  #keptBytes = 0;

  /** @param maxBytes of buffers that nobody uses. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @returns a buffer of at least this many bytes. */
  take(bytes: number): Uint8Array {
    const exponent = bytes <= 1 ? 0 : 32 - Math.clz32(bytes - 1);
    const buffer = this.#classes[exponent]?.pop();
    if (buffer === undefined) return new Uint8Array(2 ** exponent);
    this.#keptBytes -= buffer.length;
    return buffer;
  }

  /** @param buffer of `take`, whole. */
  give(buffer: Uint8Array): void {
    if (this.#keptBytes + buffer.length > this.#maxBytes) return;
    this.#keptBytes += buffer.length;
    (this.#classes[31 - Math.clz32(buffer.length)] ??= []).push(buffer);
  }
}

/** Of this thread. */
export const POOL = new BufferPool(WIRE.poolMaxBytes);
