// IP addresses as bytes, in one form for both families: 16 bytes, an IPv4 address mapped into IPv6 (::ffff:10.0.0.1, RFC 4291
// section 2.5.5.2). So a client of a socket of both families is the same client as one of an IPv4 socket, and whatever is
// kept by address compares 16 bytes. Pure; called where text comes in, and by what decides about clients.

import { isIP } from "node:net";

import { ProxyError } from "./errors.ts";

export const IP_BYTES = 16;
/** Where the four bytes of a mapped IPv4 address begin, and how many bits stand before them. */
export const IPV4_OFFSET = 12;
export const IPV4_PREFIX_BITS = 96;

/** An address block: all addresses that share the first `bits` of `ip`, whose other bits are zero. */
export interface AddressBlock {
  readonly ip: Uint8Array;
  /** Of 128, also for IPv4: 10.0.0.0/8 has 104. An IPv6 block never has IPv4 addresses in it. */
  readonly bits: number;
}

/** RFC 4291 section 2.2, all three forms; a zone (`%eth0`) is not part of the address and is left out. */
export function parseIPv6(text: string): Uint8Array {
  const [head = "", tail] = (text.split("%")[0] ?? "").split("::");
  const front = groupsOf(head);
  const back = tail === undefined ? [] : groupsOf(tail);
  const zeros = new Array<number>(8 - front.length - back.length).fill(0);
  const groups = [...front, ...zeros, ...back];
  return new Uint8Array(groups.flatMap((group) => [group >>> 8, group & 0xff]));
}

function groupsOf(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((part) => {
    if (!part.includes(".")) return [Number.parseInt(part, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = part.split(".").map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

/** @returns 16 bytes, or null if the text is not an address. */
export function parseIp(text: string): Uint8Array | null {
  const family = isIP(text);
  if (family === 0) return null;
  return parseIPv6(family === 4 ? `::ffff:${text}` : text);
}

export function isIPv4(ip: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (ip[i] !== 0) return false;
  return ip[10] === 0xff && ip[11] === 0xff;
}

/** 127.0.0.0/8 and ::1. */
export function isLoopback(ip: Uint8Array): boolean {
  if (isIPv4(ip)) return ip[IPV4_OFFSET] === 127;
  for (let i = 0; i < IP_BYTES - 1; i++) if (ip[i] !== 0) return false;
  return ip[IP_BYTES - 1] === 1;
}

/** `10.0.0.1` or `2001:db8::1`, which `parseIp` reads back to the same bytes. */
export function formatIp(ip: Uint8Array): string {
  return isIPv4(ip) ? ip.subarray(IPV4_OFFSET, IP_BYTES).join(".") : formatIPv6(ip);
}

/** RFC 5952: lower case, no leading zeros, the longest run of zero groups as `::`. */
export function formatIPv6(bytes: Uint8Array): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i]! << 8) | bytes[i + 1]!);
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > bestLength) [best, bestLength] = [i, length];
  }
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(":");
  if (best < 0) return hex(groups);
  return `${hex(groups.slice(0, best))}::${hex(groups.slice(best + bestLength))}`;
}

/**
 * Reads `10.0.0.0/8`, `fd00::/8` or one address. A block that names a machine inside it (10.0.0.7/8) is refused: whether
 * the machine or the block was meant cannot be told.
 * @throws ProxyError ERR_CONFIG, which quotes the text and says the cure.
 */
export function parseAddressBlock(text: string): AddressBlock {
  const [address = "", length, ...rest] = text.split("/");
  const parsed = address.includes("%") ? null : parseIp(address);
  const wellFormed = length === undefined || /^(0|[1-9]\d{0,2})$/.test(length);
  if (parsed === null || rest.length > 0 || !wellFormed) throw badBlock(text);
  const prefix = isIP(address) === 4 ? IPV4_PREFIX_BITS : 0;
  const bits = length === undefined ? 128 : prefix + Number(length);
  if (bits > 128) throw badBlock(text);
  const ip = maskIp(parsed, bits);
  if (!parsed.every((byte, i) => byte === ip[i])) {
    const block = prefix > 0 ? ip.subarray(IPV4_OFFSET).join(".") : formatIPv6(ip);
    throw new ProxyError("ERR_CONFIG", `"${text}" is not an address block: it begins inside one`, {
      cure: `Write ${block}/${length} for the block, or ${address} for one address`,
    });
  }
  return { ip, bits };
}

/** A copy whose bits from `bits` on are zero. */
export function maskIp(ip: Uint8Array, bits: number): Uint8Array {
  const masked = ip.slice(0, IP_BYTES);
  for (let i = 0; i < IP_BYTES; i++) {
    const kept = Math.min(8, Math.max(0, bits - i * 8));
    masked[i]! &= 0xff00 >>> kept;
  }
  return masked;
}

function badBlock(text: string): ProxyError {
  return new ProxyError("ERR_CONFIG", `"${text}" is not an address block`, {
    cure: "Write an IP address, or a block such as 10.0.0.0/8 or fd00::/8",
  });
}
