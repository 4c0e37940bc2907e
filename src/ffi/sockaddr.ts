// struct sockaddr_in, sockaddr_in6 and sockaddr_un (ip(7), ipv6(7), unix(7)) to and from SocketAddress, for Linux.
//
//   sockaddr_in   family(2, host order) port(2, network order) address(4) zero(8)
//   sockaddr_in6  family(2)             port(2)                flowinfo(4) address(16) scope(4)
//   sockaddr_un   family(2)             path(108, ends with a zero byte)

import { isIPv4 } from "node:net";

import type { SocketAddress } from "../shared/address.ts";
import { formatIPv6, IP_BYTES, IPV4_OFFSET, parseIPv6 } from "../shared/ip.ts";
import { FAMILY_IPV4, FAMILY_IPV6, FAMILY_UNIX } from "../shared/live-table.ts";
import { AF_INET, AF_INET6, AF_UNIX } from "./linux.ts";
import { pinnedBytes } from "./memory.ts";

/** Room for any of the three. */
export const SOCKADDR_MAX_BYTES = 112;

/** An address as the kernel takes it, in memory that stays in place. Keep it referenced while a call uses it. */
export interface Sockaddr {
  readonly family: number;
  readonly bytes: Uint8Array;
}

export function encodeSockaddr(address: SocketAddress): Sockaddr {
  if (address.kind === "unix") {
    const path = Buffer.from(address.path);
    const bytes = pinnedBytes(2 + path.length + 1);
    bytes[0] = AF_UNIX;
    bytes.set(path, 2);
    return { family: AF_UNIX, bytes };
  }
  const v4 = isIPv4(address.host);
  const bytes = pinnedBytes(v4 ? 16 : 28);
  bytes[0] = v4 ? AF_INET : AF_INET6;
  bytes[2] = address.port >>> 8;
  bytes[3] = address.port & 0xff;
  if (v4) bytes.set(address.host.split(".").map(Number), 4);
  else bytes.set(parseIPv6(address.host), 8);
  return { family: v4 ? AF_INET : AF_INET6, bytes };
}

export function decodeSockaddr(bytes: Uint8Array, length: number): SocketAddress {
  if (length <= 2 || bytes[0] === AF_UNIX) {
    let end = 2;
    while (end < length && bytes[end] !== 0) end++;
    return { kind: "unix", path: Buffer.from(bytes.subarray(2, Math.max(2, end))).toString() };
  }
  const port = portOf(bytes);
  if (bytes[0] === AF_INET) return { kind: "ip", host: bytes.subarray(4, 8).join("."), port };
  return { kind: "ip", host: formatIPv6(bytes.subarray(8, 24)), port };
}

export function portOf(bytes: Uint8Array): number {
  return (bytes[2]! << 8) | bytes[3]!;
}

/**
 * How the table of live connections notes an address: its family there, and where its bytes begin. A v4-mapped address is
 * IPv4.
 */
export function liveFamily(bytes: Uint8Array): { family: number; offset: number } {
  if (bytes[0] === AF_INET) return { family: FAMILY_IPV4, offset: 4 };
  if (bytes[0] !== AF_INET6) return { family: FAMILY_UNIX, offset: 2 };
  for (let i = 8; i < 18; i++) if (bytes[i] !== 0) return { family: FAMILY_IPV6, offset: 8 };
  const mapped = bytes[18] === 0xff && bytes[19] === 0xff;
  return mapped ? { family: FAMILY_IPV4, offset: 20 } : { family: FAMILY_IPV6, offset: 8 };
}

/**
 * The address of a client as what decides about clients takes it: 16 bytes, IPv4 mapped (shared/ip.ts).
 * @returns false if it has none: a unix socket's, or that of a client that is gone already.
 */
export function copyIp(sockaddr: Uint8Array, into: Uint8Array): boolean {
  if (sockaddr[0] === AF_INET6) {
    for (let i = 0; i < IP_BYTES; i++) into[i] = sockaddr[8 + i]!;
    return true;
  }
  if (sockaddr[0] !== AF_INET) return false;
  into.fill(0, 0, 10);
  into.fill(0xff, 10, IPV4_OFFSET);
  for (let i = 0; i < 4; i++) into[IPV4_OFFSET + i] = sockaddr[4 + i]!;
  return true;
}
