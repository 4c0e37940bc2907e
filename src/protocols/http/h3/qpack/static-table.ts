// The static table of QPACK (RFC 9204 appendix A), in columns, with the numbers that HTTP/2's has (h2/hpack/static-table.ts):
// a field section decoded from QPACK is read by the same code (h2/section.ts). Indexes begin at 0. Pure.

import { PSEUDO_IDS } from "../../h2/hpack/static-table.ts";
import { idOfText, lower, UNKNOWN } from "../../message/names.ts";

const ENTRIES = `:authority
:path /
age 0
content-disposition
content-length 0
cookie
date
etag
if-modified-since
if-none-match
last-modified
link
location
referer
set-cookie
:method CONNECT
:method DELETE
:method GET
:method HEAD
:method OPTIONS
:method POST
:method PUT
:scheme http
:scheme https
:status 103
:status 200
:status 304
:status 404
:status 503
accept */*
accept application/dns-message
accept-encoding gzip, deflate, br
accept-ranges bytes
access-control-allow-headers cache-control
access-control-allow-headers content-type
access-control-allow-origin *
cache-control max-age=0
cache-control max-age=2592000
cache-control max-age=604800
cache-control no-cache
cache-control no-store
cache-control public, max-age=31536000
content-encoding br
content-encoding gzip
content-type application/dns-message
content-type application/javascript
content-type application/json
content-type application/x-www-form-urlencoded
content-type image/gif
content-type image/jpeg
content-type image/png
content-type text/css
content-type text/html; charset=utf-8
content-type text/plain
content-type text/plain;charset=utf-8
range bytes=0-
strict-transport-security max-age=31536000
strict-transport-security max-age=31536000; includesubdomains
strict-transport-security max-age=31536000; includesubdomains; preload
vary accept-encoding
vary origin
x-content-type-options nosniff
x-xss-protection 1; mode=block
:status 100
:status 204
:status 206
:status 302
:status 400
:status 403
:status 421
:status 425
:status 500
accept-language
access-control-allow-credentials FALSE
access-control-allow-credentials TRUE
access-control-allow-headers *
access-control-allow-methods get
access-control-allow-methods get, post, options
access-control-allow-methods options
access-control-expose-headers content-length
access-control-request-headers content-type
access-control-request-method get
access-control-request-method post
alt-svc clear
authorization
content-security-policy script-src 'none'; object-src 'none'; base-uri 'none'
early-data 1
expect-ct
forwarded
if-range
origin
purpose prefetch
server
timing-allow-origin *
upgrade-insecure-requests 1
user-agent
x-forwarded-for
x-frame-options deny
x-frame-options sameorigin`.split("\n");

export const STATIC_ENTRIES = ENTRIES.length;

/** Names and values, one behind the other. */
export const STATIC_ARENA = new Uint8Array(
  Buffer.from(ENTRIES.map((each) => each.replace(" ", "")).join("")),
);
export const STATIC_STARTS = new Int32Array(STATIC_ENTRIES);
export const STATIC_NAME_ENDS = new Int32Array(STATIC_ENTRIES);
export const STATIC_ENDS = new Int32Array(STATIC_ENTRIES);
export const STATIC_IDS = new Uint8Array(STATIC_ENTRIES);
/** By number of a field: the first entry that has its name; -1: none has. */
const FIRST = new Int16Array(256).fill(-1);
/** By the length of their names: the first entry of those that names.ts has no number for. */
const UNNUMBERED = new Int16Array(64).fill(-1);
/** The next entry with the same name; -1: none. */
const NEXT = new Int16Array(STATIC_ENTRIES).fill(-1);

let filled = 0;
ENTRIES.forEach((entry, index) => {
  const [name, value = ""] = entry.split(/ (.*)/);
  const id = PSEUDO_IDS.get(name!) ?? idOfText(name!);
  STATIC_STARTS[index] = filled;
  STATIC_NAME_ENDS[index] = filled + name!.length;
  STATIC_ENDS[index] = filled += name!.length + value.length;
  STATIC_IDS[index] = id;
  const firsts = id === UNKNOWN ? UNNUMBERED : FIRST;
  const key = id === UNKNOWN ? name!.length : id;
  let last = firsts[key]!;
  if (last < 0) {
    firsts[key] = index;
    return;
  }
  while (NEXT[last]! >= 0) last = NEXT[last]!;
  NEXT[last] = index;
});

/** @returns the first entry with the name of a field that has this number, UNKNOWN included; -1 if there is none. */
export function firstNamed(id: number, arena: Uint8Array, start: number, end: number): number {
  if (id !== UNKNOWN) return FIRST[id]!;
  // No two names among them have the same length.
  const index = UNNUMBERED[end - start] ?? -1;
  if (index < 0) return -1;
  for (let i = start, at = STATIC_STARTS[index]!; i < end; i++, at++) {
    if (lower(arena[i]!) !== STATIC_ARENA[at]) return -1;
  }
  return index;
}

/** @returns the entry with this value, of `first` and those behind it that share its name; -1 if there is none. */
export function withValue(first: number, arena: Uint8Array, start: number, end: number): number {
  for (let index = first; index >= 0; index = NEXT[index]!) {
    let at = STATIC_NAME_ENDS[index]!;
    if (STATIC_ENDS[index]! - at !== end - start) continue;
    let i = start;
    while (i < end && arena[i] === STATIC_ARENA[at]) {
      i++;
      at++;
    }
    if (i === end) return index;
  }
  return -1;
}
