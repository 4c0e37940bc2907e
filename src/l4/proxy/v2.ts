// The binary header of version 2 (proxy-protocol.txt section 2.2). What the specification lets a receiver ignore is ignored;
// what contradicts itself is invalid: a length too short for its addresses, a vector cut off, the same vector twice.
// Called by parse.ts.
//
//   signature(12) · version, command (1) · family, transport (1) · length(2) · addresses · vectors: type(1) length(2) value

import { IP_BYTES, IPV4_OFFSET } from "../../shared/ip.ts";
import { FIRST_BYTES } from "../../shared/limits.ts";
import type { Endpoints } from "../peer.ts";
import { crc32c } from "./crc32c.ts";
import {
  invalid,
  MORE,
  PP2_TYPE_ALPN,
  PP2_TYPE_AUTHORITY,
  PP2_TYPE_CRC32C,
  PP2_TYPE_UNIQUE_ID,
  type ProxyHeader,
  type ProxyOutcome,
  TCP_OVER_IPV4,
  TCP_OVER_IPV6,
  TLV_HEAD_BYTES,
  UNIX_STREAM,
  UNSPECIFIED,
  V2_FIXED_BYTES,
  V2_SIGNATURE,
  V2_VERSION,
} from "./header.ts";

const UNIX_PATH_BYTES = 108;

/** How many bytes of addresses each kind has. What is not here is not valid. */
const ADDRESS_BYTES = new Map([
  [UNSPECIFIED, 0],
  [TCP_OVER_IPV4, 12],
  [0x12, 12], // UDP over IPv4
  [TCP_OVER_IPV6, 36],
  [0x22, 36], // UDP over IPv6
  [UNIX_STREAM, 216],
  [0x32, 216], // unix datagram
]);

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @param bytes what the client has sent so far. */
export function parseV2(bytes: Uint8Array, maxBytes: number): ProxyOutcome {
  for (let i = 0; i < Math.min(bytes.length, V2_SIGNATURE.length); i++) {
    if (bytes[i] !== V2_SIGNATURE[i]) return invalid("it does not begin with a PROXY header");
  }
  if (bytes.length <= 12) return MORE;
  const command = bytes[12]! & 0x0f;
  if (bytes[12]! >>> 4 !== V2_VERSION) return invalid("its version is not 2");
  if (command > 1) return invalid("its command is neither LOCAL nor PROXY");
  if (bytes.length <= 13) return MORE;
  const kind = bytes[13]!;
  const addressBytes = ADDRESS_BYTES.get(kind);
  // Of LOCAL, the family and all that follows is ignored.
  if (command === 1 && addressBytes === undefined) {
    return invalid("its address family and transport do not go together");
  }
  if (bytes.length < V2_FIXED_BYTES) return MORE;
  const length = V2_FIXED_BYTES + uint16(bytes, 14);
  if (length > maxBytes) return invalid(`it has ${length} bytes, more than ${maxBytes}`);
  const local = command === 0;
  const vectors = V2_FIXED_BYTES + (addressBytes ?? 0);
  if (!local && vectors > length) return invalid("it is too short for its addresses");
  if (bytes.length < length) return MORE;
  const said: Writable<ProxyHeader> = {
    version: 2,
    command: local ? "LOCAL" : "PROXY",
    endpoints: local ? null : readEndpoints(bytes, kind),
    alpn: null,
    authority: null,
    uniqueId: null,
  };
  // Behind addresses that are not specified, it is not specified either where vectors would begin.
  if (!local && kind !== UNSPECIFIED) {
    const reason = readVectors(bytes, vectors, length, said);
    if (reason !== "") return invalid(reason);
  }
  return { type: "header", header: said, length };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function readEndpoints(bytes: Uint8Array, kind: number): Endpoints | null {
  const at = V2_FIXED_BYTES;
  if (kind === UNIX_STREAM) {
    return {
      source: { kind: "unix", path: unixPath(bytes, at) },
      destination: { kind: "unix", path: unixPath(bytes, at + UNIX_PATH_BYTES) },
    };
  }
  if (kind !== TCP_OVER_IPV4 && kind !== TCP_OVER_IPV6) return null;
  const size = kind === TCP_OVER_IPV4 ? 4 : IP_BYTES;
  const ports = at + 2 * size;
  return {
    source: { kind: "ip", ip: ipAt(bytes, at, size), port: uint16(bytes, ports) },
    destination: { kind: "ip", ip: ipAt(bytes, at + size, size), port: uint16(bytes, ports + 2) },
  };
}

/** A copy: the client's bytes may stand in a buffer that is used again. */
function ipAt(bytes: Uint8Array, at: number, size: number): Uint8Array {
  const ip = new Uint8Array(IP_BYTES);
  if (size === 4) ip.fill(0xff, 10, IPV4_OFFSET);
  for (let i = 0; i < size; i++) ip[IP_BYTES - size + i] = bytes[at + i]!;
  return ip;
}

function unixPath(bytes: Uint8Array, at: number): string {
  let end = at;
  while (end < at + UNIX_PATH_BYTES && bytes[end] !== 0) end++;
  return Buffer.from(bytes.subarray(at, end)).toString();
}

/** @returns why they are invalid; empty if they are not. */
function readVectors(
  bytes: Uint8Array,
  start: number,
  end: number,
  said: Writable<ProxyHeader>,
): string {
  let checked = false;
  for (let at = start; at < end;) {
    const value = at + TLV_HEAD_BYTES;
    if (value > end) return "its last vector is cut off";
    const next = value + uint16(bytes, at + 1);
    if (next > end) return "its last vector is cut off";
    const type = bytes[at]!;
    if (type === PP2_TYPE_CRC32C) {
      if (checked) return "it has two checksums";
      checked = true;
      if (next - value !== 4) return "its checksum has not 4 bytes";
      if (uint32(bytes, value) !== crc32c(bytes, 0, end, value)) return "its checksum is wrong";
    } else {
      const reason = readVector(type, bytes.slice(value, next), said);
      if (reason !== "") return reason;
    }
    at = next;
  }
  return "";
}

/** Types that are not known are ignored, as the specification says. */
function readVector(type: number, value: Uint8Array, said: Writable<ProxyHeader>): string {
  if (type === PP2_TYPE_ALPN) {
    if (said.alpn !== null) return "it has two ALPN vectors";
    said.alpn = value;
  } else if (type === PP2_TYPE_UNIQUE_ID) {
    if (said.uniqueId !== null) return "it has two UNIQUE_ID vectors";
    if (value.length > FIRST_BYTES.proxyUniqueIdMaxBytes) return "its UNIQUE_ID is too long";
    said.uniqueId = value;
  } else if (type === PP2_TYPE_AUTHORITY) {
    if (said.authority !== null) return "it has two AUTHORITY vectors";
    try {
      said.authority = UTF8.decode(value);
    } catch {
      return "its AUTHORITY is not UTF-8";
    }
  }
  return "";
}

function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function uint32(bytes: Uint8Array, at: number): number {
  return uint16(bytes, at) * 0x10000 + uint16(bytes, at + 2);
}
