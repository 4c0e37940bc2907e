// What a PROXY protocol header says, and the three answers of its parsers (proxy-protocol.txt of haproxy, section 2).

import type { Endpoints } from "../peer.ts";

export type ProxyVersion = 1 | 2;

export interface ProxyHeader {
  readonly version: ProxyVersion;
  /** LOCAL: the proxy in front speaks for itself, as its health checks do. */
  readonly command: "LOCAL" | "PROXY";
  /** null where the socket's own addresses count: LOCAL, UNKNOWN, unspecified, and datagrams, which this is none of. */
  readonly endpoints: Endpoints | null;
  /** PP2_TYPE_ALPN: the protocol that the client and the proxy in front agreed on. */
  readonly alpn: Uint8Array | null;
  /** PP2_TYPE_AUTHORITY: the name that the client asked for. */
  readonly authority: string | null;
  /** PP2_TYPE_UNIQUE_ID: names the connection over several proxies. */
  readonly uniqueId: Uint8Array | null;
}

export type ProxyOutcome =
  /** What is there may be the beginning of a header. */
  | { readonly type: "more" }
  /** It never becomes one, whatever follows: the connection is to be reset. */
  | { readonly type: "invalid"; readonly reason: string }
  /** The first `length` bytes are the header and not part of the stream. */
  | { readonly type: "header"; readonly header: ProxyHeader; readonly length: number };

export const MORE: ProxyOutcome = Object.freeze({ type: "more" });

export function invalid(reason: string): ProxyOutcome {
  return { type: "invalid", reason };
}

/** Section 2.1: the longest line, with its CRLF. */
export const V1_MAX_BYTES = 107;

/** Section 2.2: signature(12) version and command(1) family and transport(1) length(2). */
export const V2_SIGNATURE = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10);
export const V2_FIXED_BYTES = 16;
/** In the upper half of its byte; the command, 0 LOCAL or 1 PROXY, is in the lower one. */
export const V2_VERSION = 2;
/** The address family in the upper half, the transport in the lower one. */
export const UNSPECIFIED = 0x00;
export const TCP_OVER_IPV4 = 0x11;
export const TCP_OVER_IPV6 = 0x21;
export const UNIX_STREAM = 0x31;

/** type(1) length(2) value */
export const TLV_HEAD_BYTES = 3;
export const PP2_TYPE_ALPN = 0x01;
export const PP2_TYPE_AUTHORITY = 0x02;
export const PP2_TYPE_CRC32C = 0x03;
export const PP2_TYPE_UNIQUE_ID = 0x05;
