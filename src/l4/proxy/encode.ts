// Writes the PROXY protocol header that a target is sent before the client's first byte (proxy-protocol.txt section 2). One
// buffer serves all connections: a header is written and sent at once.

import { formatIp, formatIPv6, IP_BYTES, IPV4_OFFSET, isIPv4 } from "../../shared/ip.ts";
import { FIRST_BYTES } from "../../shared/limits.ts";
import type { Endpoints } from "../peer.ts";
import { crc32c } from "./crc32c.ts";
import {
  PP2_TYPE_ALPN,
  PP2_TYPE_AUTHORITY,
  PP2_TYPE_CRC32C,
  type ProxyVersion,
  TCP_OVER_IPV4,
  TCP_OVER_IPV6,
  TLV_HEAD_BYTES,
  UNSPECIFIED,
  V2_FIXED_BYTES,
  V2_SIGNATURE,
  V2_VERSION,
} from "./header.ts";

/** What version 2 can say besides the addresses. Version 1 cannot. */
export interface ProxyExtras {
  /** The name that the client asked for: SNI. */
  readonly authority?: string | null;
  /** The client's protocol. */
  readonly alpn?: Uint8Array | null;
  readonly checksum?: boolean;
}

const CRC_BYTES = 4;

/**
 * @param into has room for FIRST_BYTES.proxyHeaderMaxBytes. An extra that does not fit into that is left out.
 * @param endpoints the client and the address that it connected to. Where one of them is no IP address, the target is told
 * that they are not known: UNKNOWN, or LOCAL, which every receiver must accept.
 * @returns how many bytes the header has.
 */
export function encodeProxyHeader(
  into: Uint8Array,
  version: ProxyVersion,
  endpoints: Endpoints,
  extras: ProxyExtras = {},
): number {
  return version === 1 ? encodeV1(into, endpoints) : encodeV2(into, endpoints, extras);
}

function encodeV1(into: Uint8Array, { source, destination }: Endpoints): number {
  if (source.kind === "unix" || destination.kind === "unix") {
    return writeAscii(into, "PROXY UNKNOWN\r\n");
  }
  const v4 = isIPv4(source.ip) && isIPv4(destination.ip);
  const format = v4 ? formatIp : formatIPv6;
  const hosts = `${format(source.ip)} ${format(destination.ip)}`;
  return writeAscii(
    into,
    `PROXY ${v4 ? "TCP4" : "TCP6"} ${hosts} ${source.port} ${destination.port}\r\n`,
  );
}

function writeAscii(into: Uint8Array, text: string): number {
  for (let i = 0; i < text.length; i++) into[i] = text.charCodeAt(i);
  return text.length;
}

function encodeV2(
  into: Uint8Array,
  { source, destination }: Endpoints,
  extras: ProxyExtras,
): number {
  into.set(V2_SIGNATURE);
  if (source.kind === "unix" || destination.kind === "unix") {
    into[12] = V2_VERSION << 4;
    into[13] = UNSPECIFIED;
    return endAt(into, V2_FIXED_BYTES);
  }
  into[12] = (V2_VERSION << 4) | 1;
  const v4 = isIPv4(source.ip) && isIPv4(destination.ip);
  into[13] = v4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6;
  // Of two families, both are written as IPv6: one of them mapped.
  const skip = v4 ? IPV4_OFFSET : 0;
  let at = V2_FIXED_BYTES;
  for (const { ip } of [source, destination]) {
    for (let i = skip; i < IP_BYTES; i++) into[at++] = ip[i]!;
  }
  for (const { port } of [source, destination]) {
    into[at++] = port >>> 8;
    into[at++] = port & 0xff;
  }
  return encodeExtras(into, at, extras);
}

/** @returns where the header ends. */
function encodeExtras(into: Uint8Array, at: number, extras: ProxyExtras): number {
  const checksum = extras.checksum === true;
  const most = FIRST_BYTES.proxyHeaderMaxBytes - (checksum ? TLV_HEAD_BYTES + CRC_BYTES : 0);
  const write = (type: number, value: Uint8Array): void => {
    if (at + TLV_HEAD_BYTES + value.length > most) return;
    at = writeVectorHead(into, at, type, value.length);
    into.set(value, at);
    at += value.length;
  };
  if (extras.authority) write(PP2_TYPE_AUTHORITY, Buffer.from(extras.authority));
  if (extras.alpn) write(PP2_TYPE_ALPN, extras.alpn);
  if (!checksum) return endAt(into, at);
  const place = writeVectorHead(into, at, PP2_TYPE_CRC32C, CRC_BYTES);
  const end = endAt(into, place + CRC_BYTES);
  const sum = crc32c(into, 0, end, place);
  for (let i = 0; i < CRC_BYTES; i++) into[place + i] = (sum >>> (24 - 8 * i)) & 0xff;
  return end;
}

/** @returns where the value begins. */
function writeVectorHead(into: Uint8Array, at: number, type: number, length: number): number {
  into[at] = type;
  into[at + 1] = length >>> 8;
  into[at + 2] = length & 0xff;
  return at + TLV_HEAD_BYTES;
}

/** Writes the length, which counts what follows it. */
function endAt(into: Uint8Array, end: number): number {
  into[14] = (end - V2_FIXED_BYTES) >>> 8;
  into[15] = (end - V2_FIXED_BYTES) & 0xff;
  return end;
}
