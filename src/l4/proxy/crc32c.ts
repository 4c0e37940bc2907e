// CRC32c, the Castagnoli polynomial (RFC 4960 appendix B): the checksum of PROXY headers. Bun's own crc32 is another polynomial.

/** 0x1EDC6F41 with its bits reversed, as the bits come out of a byte lowest first. */
const POLYNOMIAL = 0x82f63b78;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 1 ? (sum >>> 1) ^ POLYNOMIAL : sum >>> 1;
  return sum >>> 0;
});

/**
 * Of `bytes` from `start` to `end`, with the four bytes at `hole` taken as zeros: the checksum's own place.
 * @param hole -1 for none.
 */
export function crc32c(bytes: Uint8Array, start: number, end: number, hole = -1): number {
  let sum = 0xffffffff;
  for (let i = start; i < end; i++) {
    const byte = hole >= 0 && i >= hole && i < hole + 4 ? 0 : bytes[i]!;
    sum = TABLE[(sum ^ byte) & 0xff]! ^ (sum >>> 8);
  }
  return (sum ^ 0xffffffff) >>> 0;
}
