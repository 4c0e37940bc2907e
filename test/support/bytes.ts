// Byte streams that tell a lost, doubled or swapped byte: stream `seed` at offset n has one right value, and the pattern's
// length is prime, so that no block size of a relay divides it.

const PERIOD = 1_048_573;
const PATTERN = makePattern();

/** Twice in a row, so that any PERIOD bytes from any start are one view. */
function makePattern(): Buffer {
  const bytes = Buffer.alloc(PERIOD * 2);
  let state = 0x9e3779b9;
  for (let i = 0; i < PERIOD; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  bytes.copy(bytes, PERIOD, 0, PERIOD);
  return bytes;
}

/** The most that `streamBytes` returns at once. */
export const VIEW_MAX_BYTES = PERIOD;

/** Bytes `offset` to `offset + length` of stream `seed`; a view, not to be written to. */
export function streamBytes(seed: number, offset: number, length: number): Buffer {
  if (length > VIEW_MAX_BYTES) throw new RangeError(`at most ${VIEW_MAX_BYTES} bytes at once`);
  const start = (seed * 7919 + offset) % PERIOD;
  return PATTERN.subarray(start, start + length);
}

/** Checks a stream as it arrives. */
export class StreamCheck {
  received = 0;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** @throws Error with the offset where the stream is not what was sent. */
  take(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      const length = Math.min(chunk.length - at, VIEW_MAX_BYTES);
      const expected = streamBytes(this.#seed, this.received, length);
      if (!expected.equals(chunk.subarray(at, at + length))) {
        throw new Error(`stream ${this.#seed} differs after offset ${this.received}`);
      }
      this.received += length;
      at += length;
    }
  }
}
