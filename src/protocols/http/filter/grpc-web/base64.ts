// Base64 (RFC 4648 section 4) of a stream, both ways and in any pieces. Padding may stand in the middle: senders of gRPC-Web text
// end a segment wherever they want what they wrote to be readable, and go on with another one.
//
// Invariant: the encoder holds at most two bytes and the decoder at most three characters. Pure; the streams of stream.ts call
// it.

const PAD = 0x3d;
const NONE = -1;
const ALPHABET = new TextEncoder().encode(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
);
const VALUES = new Int8Array(256).fill(NONE);
ALPHABET.forEach((character, value) => {
  VALUES[character] = value;
});

/** The most that `encode` writes for so many bytes. */
export function encodedBytes(bytes: number): number {
  return Math.ceil((bytes + 2) / 3) * 4;
}

/** The most that `decode` writes for so many bytes. */
export function decodedBytes(bytes: number): number {
  return Math.ceil((bytes + 3) / 4) * 3;
}

/** Three bytes as four characters. @returns what is behind them. */
function put(bits: number, out: Uint8Array, to: number): number {
  out[to] = ALPHABET[bits >>> 18]!;
  out[to + 1] = ALPHABET[(bits >>> 12) & 63]!;
  out[to + 2] = ALPHABET[(bits >>> 6) & 63]!;
  out[to + 3] = ALPHABET[bits & 63]!;
  return to + 4;
}

export class Base64Encoder {
  #held = 0;
  #heldBits = 0;

  /**
   * Bytes [start, end) follow those before.
   * @param out with room for `encodedBytes(end - start)`.
   * @param pad ends the segment: everything is written. Otherwise up to two bytes wait for the next call.
   * @returns how many characters were written.
   */
  encode(bytes: Uint8Array, start: number, end: number, out: Uint8Array, pad: boolean): number {
    let to = 0;
    let at = start;
    let held = this.#held;
    let bits = this.#heldBits;
    for (; held > 0 && at < end; at++) {
      bits = (bits << 8) | bytes[at]!;
      if (++held < 3) continue;
      to = put(bits, out, to);
      held = bits = 0;
    }
    for (; at + 2 < end; at += 3) {
      to = put((bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!, out, to);
    }
    for (; at < end; at++, held++) bits = (bits << 8) | bytes[at]!;
    if (pad && held > 0) {
      bits <<= held === 1 ? 16 : 8;
      out[to++] = ALPHABET[bits >>> 18]!;
      out[to++] = ALPHABET[(bits >>> 12) & 63]!;
      out[to++] = held === 1 ? PAD : ALPHABET[(bits >>> 6) & 63]!;
      out[to++] = PAD;
      held = bits = 0;
    }
    this.#held = held;
    this.#heldBits = bits;
    return to;
  }
}

export class Base64Decoder {
  /** Characters of the group of four that is not complete, its padding included. */
  #held = 0;
  #bits = 0;
  #padded = false;

  /** Nothing of a group is missing: the text may end here. */
  get complete(): boolean {
    return this.#held === 0;
  }

  /**
   * Characters [start, end) follow those before.
   * @param out with room for `decodedBytes(end - start)`.
   * @returns how many bytes were written; -1 if this is no Base64. Bits that padding leaves over must be zero.
   */
  decode(text: Uint8Array, start: number, end: number, out: Uint8Array): number {
    let to = 0;
    for (let at = start; at < end; at++) {
      if (this.#held === 0) {
        // Whole groups without padding, which is nearly all of a text.
        for (; at + 3 < end; at += 4, to += 3) {
          const bits =
            (VALUES[text[at]!]! << 18) |
            (VALUES[text[at + 1]!]! << 12) |
            (VALUES[text[at + 2]!]! << 6) |
            VALUES[text[at + 3]!]!;
          if (bits < 0) break;
          out[to] = bits >>> 16;
          out[to + 1] = bits >>> 8;
          out[to + 2] = bits;
        }
        if (at === end) break;
      }
      const character = text[at]!;
      if (character === PAD) {
        const written = this.#pad(out, to);
        if (written < 0) return -1;
        to += written;
        continue;
      }
      const value = VALUES[character]!;
      if (value === NONE || this.#padded) return -1;
      this.#bits = (this.#bits << 6) | value;
      if (++this.#held < 4) continue;
      out[to++] = this.#bits >>> 16;
      out[to++] = this.#bits >>> 8;
      out[to++] = this.#bits;
      this.#held = this.#bits = 0;
    }
    return to;
  }

  /** The second padding of two says nothing more. */
  #pad(out: Uint8Array, to: number): number {
    const characters = this.#held++;
    if (this.#padded) {
      this.#held = 0;
      this.#padded = false;
      return 0;
    }
    const bits = this.#bits;
    this.#bits = 0;
    if (characters === 3 && (bits & 3) === 0) {
      out[to] = bits >>> 10;
      out[to + 1] = bits >>> 2;
      this.#held = 0;
      return 2;
    }
    if (characters !== 2 || (bits & 15) !== 0) return -1;
    out[to] = bits >>> 4;
    this.#padded = true;
    return 1;
  }
}
