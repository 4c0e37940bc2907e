// Buffers that are used again, in four sizes for each power of two: for bytes that a socket did not take, for heads that come
// in pieces. Invariant: what is kept unused is bounded by WIRE.poolMaxBytes; whoever takes a buffer gives it back once, and
// does not touch it any more. Its contents are what the last user left.

import { WIRE } from "../../shared/limits.ts";

export class BufferPool {
  readonly #maxBytes: number;
  /** By `classOf` their length. */
  readonly #classes: Uint8Array[][] = [];
  #keptBytes = 0;

  /** @param maxBytes of buffers that nobody uses. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @returns a buffer of at least this many bytes. */
  take(bytes: number): Uint8Array {
    const size = classOf(bytes);
    const buffer = this.#classes[size]?.pop();
    if (buffer === undefined) return new Uint8Array(lengthOf(size));
    this.#keptBytes -= buffer.length;
    return buffer;
  }

  /** @param buffer of `take`, whole. */
  give(buffer: Uint8Array): void {
    if (this.#keptBytes + buffer.length > this.#maxBytes) return;
    this.#keptBytes += buffer.length;
    (this.#classes[classOf(buffer.length)] ??= []).push(buffer);
  }
}

/** Sizes are 4, 5, 6 or 7 times a power of two, so that at most a fifth of a buffer lies idle. */
function classOf(bytes: number): number {
  if (bytes <= 4) return 0;
  const shift = 29 - Math.clz32(bytes - 1);
  return shift * 4 + ((bytes - 1) >>> shift) - 3;
}

function lengthOf(size: number): number {
  return size === 0 ? 4 : (5 + ((size - 1) & 3)) * 2 ** ((size - 1) >>> 2);
}

/** Of this thread. */
export const POOL = new BufferPool(WIRE.poolMaxBytes);
