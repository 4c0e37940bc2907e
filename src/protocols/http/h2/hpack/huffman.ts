// The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B), both ways. The code is canonical: codes of one length are
// consecutive and in the order of their symbols, so the lengths are all that has to be written down.
//
// Decoding looks eleven bits up at once, which covers all of printable ASCII but `\`; longer codes are found by their length.
// Pure; called by the decoder and the encoder.

/** Of the 256 octets in their order; EOS, which is never sent, has 30 bits. */
const LENGTHS = Uint8Array.from(
  `13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
   6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10
   13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6
   15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28
   20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
   22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
   26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
   20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26`.split(
    /\s+/,
  ),
  Number,
);
const LONGEST = 30;
const LOOKUP_BITS = 11;

const CODES = new Uint32Array(256);
/** By length: the first code that is not of this length or a shorter one, and where its symbols begin in ORDERED. */
const LIMITS = new Uint32Array(LONGEST + 1);
const OFFSETS = new Int32Array(LONGEST + 1);
/** Symbols by the length of their code, then by value. */
const ORDERED = new Uint8Array(256);
/** By the next LOOKUP_BITS bits: symbol, and length of its code from bit 8 on; 0: the code is longer. */
const LOOKUP = new Uint16Array(1 << LOOKUP_BITS);
assignCodes();

function assignCodes(): void {
  let code = 0;
  let at = 0;
  for (let length = 1; length <= LONGEST; length++) {
    code *= 2;
    OFFSETS[length] = at - code;
    for (let symbol = 0; symbol < 256; symbol++) {
      if (LENGTHS[symbol] !== length) continue;
      CODES[symbol] = code;
      ORDERED[at++] = symbol;
      if (length <= LOOKUP_BITS) {
        const spare = LOOKUP_BITS - length;
        LOOKUP.fill((length << 8) | symbol, code << spare, (code + 1) << spare);
      }
      code++;
    }
    LIMITS[length] = code;
  }
}

/** More than any decoded string: a code has at least five bits. */
export function huffmanBound(encodedBytes: number): number {
  return Math.floor((encodedBytes * 8) / 5) + 1;
}

/**
 * Decodes bytes [start, end) to `to` from `at` on, where there must be room for `huffmanBound`.
 * @returns the end of what was written; -1 if it is not valid: EOS in it, or padding that is too long or not of ones.
 */
export function huffmanDecode(
  bytes: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  at: number,
): number {
  let bits = 0; // the lowest `count` bits are not decoded yet; what is above them is old
  let count = 0;
  let from = start;
  for (;;) {
    while (count <= 16 && from < end) {
      bits = (bits << 8) | bytes[from++]!;
      count += 8;
    }
    if (count < LOOKUP_BITS) break;
    const entry = LOOKUP[(bits >>> (count - LOOKUP_BITS)) & ((1 << LOOKUP_BITS) - 1)]!;
    if (entry !== 0) {
      to[at++] = entry;
      count -= entry >> 8;
      continue;
    }
    const begin = from * 8 - count; // of the long code, in bits
    const found = longCode(bytes, begin, end * 8);
    if (found < 0) return -1;
    to[at++] = found;
    const next = begin + (found >> 8);
    from = (next + 7) >> 3;
    count = from * 8 - next;
    bits = count === 0 ? 0 : bytes[from - 1]!;
  }
  // Fewer bits than a look-up takes, and no more bytes: padded with ones, they are codes that are short enough, or padding.
  for (;;) {
    const rest = ((bits << (LOOKUP_BITS - count)) | ((1 << (LOOKUP_BITS - count)) - 1)) & 0x7ff;
    const entry = LOOKUP[rest]!;
    if (entry === 0 || entry >> 8 > count) break;
    to[at++] = entry;
    count -= entry >> 8;
  }
  const ones = (1 << count) - 1;
  return count < 8 && (bits & ones) === ones ? at : -1;
}

/** @returns the symbol, and its length in bits from bit 8 on; -1 if the code is EOS or not whole. */
function longCode(bytes: Uint8Array, begin: number, end: number): number {
  let code = 0;
  for (let length = 1; length <= LONGEST && begin + length <= end; length++) {
    const bit = begin + length - 1;
    code = code * 2 + ((bytes[bit >> 3]! >> (7 - (bit & 7))) & 1);
    if (length > LOOKUP_BITS && code < LIMITS[length]!) {
      return (length << 8) | ORDERED[OFFSETS[length]! + code]!;
    }
  }
  return -1;
}

/** Bytes that [start, end) takes when it is encoded. */
export function huffmanLength(bytes: Uint8Array, start: number, end: number): number {
  let bits = 0;
  for (let i = start; i < end; i++) bits += LENGTHS[bytes[i]!]!;
  return (bits + 7) >> 3;
}

/** Encodes bytes [start, end) to `to` from `at` on. @returns the end of what was written. */
export function huffmanEncode(
  bytes: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  at: number,
): number {
  let bits = 0; // the lowest `count` bits wait to be written, fewer than eight between two symbols
  let count = 0;
  for (let i = start; i < end; i++) {
    const symbol = bytes[i]!;
    let length = LENGTHS[symbol]!;
    const code = CODES[symbol]!;
    // 7 bits and 30 are more than an integer has: a long code goes in two parts.
    if (length > 16) {
      length -= 16;
      bits = (bits << length) | (code >>> 16);
      for (count += length; count >= 8;) to[at++] = bits >>> (count -= 8);
      length = 16;
    }
    bits = (bits << length) | (code & ((1 << length) - 1));
    for (count += length; count >= 8;) to[at++] = bits >>> (count -= 8);
  }
  if (count > 0) to[at++] = (bits << (8 - count)) | (0xff >> count);
  return at;
}
