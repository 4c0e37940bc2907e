// Request ids: 32 hexadecimal digits that no other worker, process or machine makes, and that do not say how many requests
// there were. Eighty random bits for each worker, then the number of the request, shuffled by a function that gives every
// number its own. Cheap enough for every request: no random bytes, no string.

const HEX = new TextEncoder().encode("0123456789abcdef");
const PREFIX_BYTES = 10;
const REQUEST_ID_LENGTH = 32;

export class RequestIds {
  readonly #prefix: Uint8Array;
  readonly #keys: Uint32Array;
  /** The number of the next request, in two parts. */
  #low: number;
  #high = 0;

  /** @param random 18 random bytes. @param first below 2^32: where to begin. */
  constructor(random: Uint8Array, first = 0) {
    this.#low = first;
    const hex = Buffer.from(random.subarray(0, PREFIX_BYTES)).toString("hex");
    this.#prefix = new TextEncoder().encode(hex);
    this.#keys = new Uint32Array(random.slice(PREFIX_BYTES, PREFIX_BYTES + 8).buffer);
  }

  /** An id whose last digits are yet to be written: what all of this worker's have in common. */
  template(): Uint8Array {
    const bytes = new Uint8Array(REQUEST_ID_LENGTH).fill(HEX[0]!);
    bytes.set(this.#prefix);
    return bytes;
  }

  /** Makes of the template at `at` the next id. */
  finish(bytes: Uint8Array, at: number): void {
    const high = this.#high ^ (this.#keys[1]! & 0xffff);
    writeHex(bytes, at + 20, high, 4);
    writeHex(bytes, at + 24, shuffle(this.#low ^ this.#keys[0]! ^ high), 8);
    this.#low = (this.#low + 1) >>> 0;
    if (this.#low === 0) this.#high = (this.#high + 1) & 0xffff;
  }
}

/** Every 32-bit number to another one: each step can be undone. */
function shuffle(number: number): number {
  number = Math.imul(number ^ (number >>> 16), 0x85ebca6b);
  number = Math.imul(number ^ (number >>> 13), 0xc2b2ae35);
  return (number ^ (number >>> 16)) >>> 0;
}

function writeHex(bytes: Uint8Array, at: number, number: number, digits: number): void {
  for (let i = digits - 1; i >= 0; i--) {
    bytes[at + i] = HEX[number & 15]!;
    number >>>= 4;
  }
}
