// Field names that the proxy knows: each has a number, so that heads are looked through without making strings. Names are in
// lower case, as HTTP/2 sends them; the numbers are of this process only.

const NAMES = [
  "", // 0: a field that is not one of these
  // Of a connection, not of a message (RFC 9110 section 7.6.1): never forwarded.
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "te",
  "http2-settings",
  // Of routing and framing.
  "host",
  "content-length",
  "trailer",
  "expect",
  "max-forwards",
  // Of the way through proxies.
  "via",
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-real-ip",
  "x-request-id",
  "early-data",
  "alt-svc",
  // Of credentials: HPACK sends these as never indexed (RFC 7541 section 7.1.3).
  "authorization",
  "proxy-authorization",
  "proxy-authenticate",
  "www-authenticate",
  "cookie",
  "set-cookie",
  // Of contents.
  "content-type",
  "content-encoding",
  "content-language",
  "content-range",
  "content-disposition",
  "accept",
  "accept-encoding",
  "accept-language",
  "accept-ranges",
  "range",
  "etag",
  "last-modified",
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-range",
  "vary",
  "cache-control",
  "age",
  "expires",
  "date",
  "server",
  "location",
  "allow",
  "retry-after",
  "user-agent",
  "referer",
  "origin",
  "link",
  "strict-transport-security",
  "access-control-request-method",
  "access-control-request-headers",
  "access-control-allow-origin",
  "access-control-allow-methods",
  "access-control-allow-headers",
  "access-control-allow-credentials",
  "access-control-expose-headers",
  "access-control-max-age",
  // WebSocket (RFC 6455).
  "sec-websocket-key",
  "sec-websocket-accept",
  "sec-websocket-version",
  "sec-websocket-protocol",
  "sec-websocket-extensions",
  // gRPC.
  "grpc-status",
  "grpc-message",
  "grpc-timeout",
  "grpc-encoding",
  "grpc-accept-encoding",
  "x-grpc-web",
  "x-user-agent",
] as const;

export type KnownName = Exclude<(typeof NAMES)[number], "">;

/** A field whose name is not known here. */
export const UNKNOWN = 0;

const IDS = new Map<string, number>(NAMES.map((name, id) => [name, id]));

/** For module constants: `const HOST = idOf("host")`. */
export function idOf(name: KnownName): number {
  return IDS.get(name)!;
}

/** @param name in lower case. @returns UNKNOWN for a name that is not known. */
export function idOfText(name: string): number {
  return IDS.get(name) ?? UNKNOWN;
}

/** In lower case. */
export function nameOf(id: number): string {
  return NAMES[id]!;
}

// Found by a hash of length, first and last byte, which few names share: a name is compared with one or two others.

const SLOTS = 512;
/** The first number of each slot, and the next number in the slot of each; UNKNOWN ends a slot. */
const FIRST = new Uint8Array(SLOTS);
const NEXT = new Uint8Array(NAMES.length);
/** All names, and where each begins; the last entry is where they end. */
const BYTES = new TextEncoder().encode(NAMES.join(""));
const STARTS = new Int32Array(NAMES.length + 1);

function slotOf(length: number, first: number, last: number): number {
  return (length * 37 + (first | 0x20) + (last | 0x20) * 189) & (SLOTS - 1);
}

NAMES.forEach((name, id) => {
  STARTS[id + 1] = STARTS[id]! + name.length;
  if (id === UNKNOWN) return;
  const slot = slotOf(name.length, name.charCodeAt(0), name.charCodeAt(name.length - 1));
  NEXT[id] = FIRST[slot]!;
  FIRST[slot] = id;
});

/** @returns the number of the name in bytes [start, end), in any case; UNKNOWN if it is none of these, or empty. */
export function findId(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end) return UNKNOWN;
  let id = FIRST[slotOf(end - start, bytes[start]!, bytes[end - 1]!)]!;
  while (id !== UNKNOWN && !isName(id, bytes, start, end)) id = NEXT[id]!;
  return id;
}

function isName(id: number, bytes: Uint8Array, start: number, end: number): boolean {
  let at = STARTS[id]!;
  if (STARTS[id + 1]! - at !== end - start) return false;
  for (let i = start; i < end; i++, at++) if (lower(bytes[i]!) !== BYTES[at]) return false;
  return true;
}

/** ASCII; other bytes stay what they are. */
export function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}
