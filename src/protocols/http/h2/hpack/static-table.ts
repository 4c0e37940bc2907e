// The static table of HPACK (RFC 7541 appendix A), in the columns of a table (see dynamic-table.ts), and the numbers of
// fields: those of names.ts for ordinary ones, others for pseudo-header fields (RFC 9113 section 8.3) and for what is not valid.

import { findId, idOfText, lower, UNKNOWN } from "../../message/names.ts";
import { isValidName, isValidValue } from "../octets.ts";

/** In `Fields.ids` between decoding and `readRequest` or `readResponse`; names.ts has no numbers this high. */
export const PSEUDO = 240;
export const METHOD = 240;
export const SCHEME = 241;
export const PATH = 242;
export const AUTHORITY = 243;
export const STATUS = 244;
export const PROTOCOL = 245;
/** A name or a value with octets that RFC 9113 section 8.2.1 forbids, or an unknown pseudo-header field. */
export const INVALID = 254;

export const STATIC_ENTRIES = 61;

export const PSEUDO_IDS: ReadonlyMap<string, number> = new Map([
  [":method", METHOD],
  [":scheme", SCHEME],
  [":path", PATH],
  [":authority", AUTHORITY],
  [":status", STATUS],
  [":protocol", PROTOCOL],
]);

const ENTRIES = `:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`.split("\n");

/** Names and values, one behind the other. */
export const STATIC_ARENA = new Uint8Array(
  Buffer.from(ENTRIES.map((each) => each.replace(" ", "")).join("")),
);
/** By index; 0 is no entry. */
export const STATIC_STARTS = new Int32Array(STATIC_ENTRIES + 1);
export const STATIC_NAME_ENDS = new Int32Array(STATIC_ENTRIES + 1);
export const STATIC_ENDS = new Int32Array(STATIC_ENTRIES + 1);
export const STATIC_IDS = new Uint8Array(STATIC_ENTRIES + 1);
/** By number of a field: the first entry that has its name; 0: none has. */
export const STATIC_NAMES = new Uint8Array(256);
/** By the length of their names: entries that names.ts has no number for. */
const UNNUMBERED = new Uint8Array(32);

let filled = 0;
ENTRIES.forEach((entry, i) => {
  const index = i + 1;
  const [name, value = ""] = entry.split(/ (.*)/);
  const id = PSEUDO_IDS.get(name!) ?? idOfText(name!);
  STATIC_STARTS[index] = filled;
  STATIC_NAME_ENDS[index] = filled + name!.length;
  STATIC_ENDS[index] = filled += name!.length + value.length;
  STATIC_IDS[index] = id;
  if (id === UNKNOWN) UNNUMBERED[name!.length] = index;
  else STATIC_NAMES[id] ||= index;
});

/** @returns the entry with this name, of a field that names.ts does not know; 0 if there is none. */
export function staticNameOf(bytes: Uint8Array, start: number, end: number): number {
  // No two of them have the same length.
  const index = UNNUMBERED[end - start] ?? 0;
  if (index === 0) return 0;
  for (let i = start, at = STATIC_STARTS[index]!; i < end; i++, at++) {
    if (lower(bytes[i]!) !== STATIC_ARENA[at]) return 0;
  }
  return index;
}

/** @returns the number of a name that a peer sent; INVALID if it may not be sent. */
export function classifyName(bytes: Uint8Array, start: number, end: number): number {
  if (bytes[start] !== 0x3a)
    return isValidName(bytes, start, end) ? findId(bytes, start, end) : INVALID;
  const length = end - start;
  if (length > 10) return INVALID;
  const name = Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString("latin1");
  return PSEUDO_IDS.get(name) ?? INVALID;
}

/** @returns `id`, or INVALID if the value may not be sent. */
export function classifyValue(id: number, bytes: Uint8Array, start: number, end: number): number {
  return isValidValue(bytes, start, end) ? id : INVALID;
}
