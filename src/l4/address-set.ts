// Sets of addresses for allow, deny and trusted proxies: blocks compiled to sorted ranges that do not touch, looked up by
// halving, without an allocation. IPv4 and IPv6 are apart: ::/0 has no IPv4 address in it, and 0.0.0.0/0 has the mapped ones.
//
//   #v4    start, end (Uint32) …
//   #v6    start (4 × Uint32), end (4 × Uint32) …

import { IP_BYTES, IPV4_OFFSET, isIPv4, parseAddressBlock } from "../shared/ip.ts";

const V4_WORDS = 1;
const V6_WORDS = 4;

export class AddressSet {
  readonly #v4: Uint32Array;
  readonly #v6: Uint32Array;

  /**
   * @param blocks `10.0.0.0/8`, `::1`.
   * @throws ProxyError ERR_CONFIG, which quotes the block that is wrong and says the cure.
   */
  constructor(blocks: readonly string[]) {
    const ranges = blocks.map((text) => rangeOf(text));
    this.#v4 = pack(
      ranges.filter(({ v4 }) => v4),
      V4_WORDS,
    );
    this.#v6 = pack(
      ranges.filter(({ v4 }) => !v4),
      V6_WORDS,
    );
  }

  get empty(): boolean {
    return this.#v4.length === 0 && this.#v6.length === 0;
  }

  /** @param ip 16 bytes, IPv4 mapped (shared/ip.ts). */
  has(ip: Uint8Array): boolean {
    return isIPv4(ip) ? within(this.#v4, V4_WORDS, ip) : within(this.#v6, V6_WORDS, ip);
  }
}

function within(ranges: Uint32Array, words: number, ip: Uint8Array): boolean {
  const stride = 2 * words;
  // The last range that begins at or before the address: the only one that may have it.
  let low = 0;
  let high = ranges.length / stride;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(ranges, middle * stride, words, ip) <= 0) low = middle + 1;
    else high = middle;
  }
  return low > 0 && compare(ranges, low * stride - words, words, ip) >= 0;
}

/** Who may connect: who is denied may not; who is left may, if nobody is named in allow or they are. */
export class AccessList {
  readonly #allow: AddressSet;
  readonly #deny: AddressSet;

  /** @throws ProxyError ERR_CONFIG, which quotes the block that is wrong and says the cure. */
  constructor(allow: readonly string[], deny: readonly string[]) {
    this.#allow = new AddressSet(allow);
    this.#deny = new AddressSet(deny);
  }

  /** Whether they may not, whoever may. */
  denies(ip: Uint8Array): boolean {
    return this.#deny.has(ip);
  }

  /** Clients of unix sockets have no address and are not asked about: the file's permissions are their access list. */
  admits(ip: Uint8Array): boolean {
    if (this.#deny.has(ip)) return false;
    return this.#allow.empty || this.#allow.has(ip);
  }
}

/** The number at `at` of `ranges`, minus the address: below 0, 0, or above. */
function compare(ranges: Uint32Array, at: number, words: number, ip: Uint8Array): number {
  const skip = IP_BYTES - words * 4;
  for (let i = 0; i < words; i++) {
    const byte = skip + i * 4;
    const word =
      ((ip[byte]! << 24) | (ip[byte + 1]! << 16) | (ip[byte + 2]! << 8) | ip[byte + 3]!) >>> 0;
    const difference = ranges[at + i]! - word;
    if (difference !== 0) return difference;
  }
  return 0;
}

interface Range {
  readonly v4: boolean;
  readonly start: bigint;
  readonly end: bigint;
}

function rangeOf(text: string): Range {
  const { ip, bits } = parseAddressBlock(text);
  const v4 = isIPv4(ip);
  const bytes = v4 ? ip.subarray(IPV4_OFFSET) : ip;
  const start = BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  return { v4, start, end: start | ((1n << BigInt(128 - bits)) - 1n) };
}

/** Sorts, joins what overlaps or touches, and lays out as words, the most significant first. */
function pack(ranges: readonly Range[], words: number): Uint32Array {
  const joined: { start: bigint; end: bigint }[] = [];
  const sorted = ranges.toSorted((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  for (const { start, end } of sorted) {
    const last = joined.at(-1);
    if (last === undefined || start > last.end + 1n) joined.push({ start, end });
    else if (end > last.end) last.end = end;
  }
  const wordsOf = (value: bigint): number[] =>
    Array.from({ length: words }, (_, i) =>
      Number((value >> BigInt(32 * (words - 1 - i))) & 0xffffffffn),
    );
  return Uint32Array.from(joined.flatMap(({ start, end }) => [...wordsOf(start), ...wordsOf(end)]));
}
