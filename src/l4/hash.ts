// A hash for tables and for choosing: fast, well spread, the same on every machine. Not for secrets; a table whose keys
// strangers choose takes a seed that they do not know.

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** FNV-1a, mixed at the end, since its lower bits are weak by themselves. @returns 32 bits, unsigned. */
export function hashBytes(bytes: Uint8Array, seed = 0): number {
  let hash = FNV_OFFSET ^ seed;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i]!, FNV_PRIME);
  return mix(hash);
}

/** Every bit of the input changes every bit of the result half of the time: the finalizer of MurmurHash3. */
export function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
