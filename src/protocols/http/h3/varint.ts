// Integers of variable length (RFC 9000 section 16): the first two bits say how many bytes there are, 1, 2, 4 or 8. Pure. Called
// by whoever reads and writes frames.

/** Beyond it a number here is not exact; a length or an id that large is refused wherever it stands. */
const EXACT_MAX = Number.MAX_SAFE_INTEGER;

export const VARINT_MAX_BYTES = 8;

/** Bytes of the integer that begins with this byte. */
export function varintLength(first: number): number {
  return 1 << (first >> 6);
}

/** The integer at `at`, all of which is there. What is not exact is told as the largest that is. */
export function readVarint(bytes: Uint8Array, at: number): number {
  const length = varintLength(bytes[at]!);
  let value = bytes[at]! & 0x3f;
  for (let i = 1; i < length; i++) value = value * 256 + bytes[at + i]!;
  return Math.min(value, EXACT_MAX);
}

/** @returns the end of what was written. */
export function writeVarint(value: number, to: Uint8Array, at: number): number {
  if (value < 0x40) {
    to[at] = value;
    return at + 1;
  }
  if (value < 0x4000) {
    to[at] = 0x40 | (value >> 8);
    to[at + 1] = value & 0xff;
    return at + 2;
  }
  if (value < 0x4000_0000) return writeVarint4(value, to, at);
  let rest = value;
  for (let i = at + 7; i >= at; i--) {
    to[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  to[at] = to[at]! | 0xc0;
  return at + 8;
}

/** In four bytes, however small: for a length that is known when what it is of has been written. @param value below 2^30. */
export function writeVarint4(value: number, to: Uint8Array, at: number): number {
  to[at] = 0x80 | (value >>> 24);
  to[at + 1] = (value >>> 16) & 0xff;
  to[at + 2] = (value >>> 8) & 0xff;
  to[at + 3] = value & 0xff;
  return at + 4;
}
