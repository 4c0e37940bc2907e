// What field sections of HTTP/2 mean (RFC 9113 section 8): pseudo-header fields become the head's own places, fields of a
// connection are refused, and what HTTP/1.1 could read otherwise is refused too. In and out of the neutral heads (heads.ts).
//
// A malformed section is told by a sentence, a valid one by the empty text. Nothing is moved: ranges of the arena are given to
// the head, and fields that are not fields any more are REMOVED. Pure; called by server and client.

import { H1 } from "../../../shared/limits.ts";
import { isAuthority } from "../h1/octets.ts";
import { type Fields, NEVER_INDEXED, REMOVED } from "../message/fields.ts";
import { type RequestHead, type ResponseHead, UNKNOWN_LENGTH } from "../message/heads.ts";
import { idOf, lower } from "../message/names.ts";
import * as Static from "./hpack/static-table.ts";
import { isTarget, isToken } from "./octets.ts";

const HOST = idOf("host");
const CONTENT_LENGTH = idOf("content-length");
const TE = idOf("te");
const EXPECT = idOf("expect");
const COOKIE = idOf("cookie");

/** By number of a field: 0 for one that is forwarded as it is. */
const SPECIAL = new Uint8Array(256);
const FORBIDDEN = 1; // of a connection: malformed (section 8.2.2)
const DROPPED = 2;
const LOOKED_AT = 3;
for (const name of [
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
] as const) {
  SPECIAL[idOf(name)] = FORBIDDEN;
}
SPECIAL[idOf("http2-settings")] = DROPPED;
for (const id of [HOST, CONTENT_LENGTH, TE, EXPECT, COOKIE]) SPECIAL[id] = LOOKED_AT;
SPECIAL.fill(LOOKED_AT, Static.PSEUDO);
SPECIAL[REMOVED] = 0;

const METHODS = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];
const UPGRADE_BYTES_MAX = 64;

/** Where pseudo-header fields stand in a section; -1: not there. One for all, since nothing here is entered twice. */
const found = { method: -1, scheme: -1, path: -1, authority: -1, protocol: -1 };

/** @param ended END_STREAM came with it. @returns why it is malformed; empty if it is not. */
export function readRequest(head: RequestHead, ended: boolean): string {
  const { fields } = head;
  const { ids, count } = fields;
  found.method = found.scheme = found.path = found.authority = found.protocol = -1;
  let i = 0;
  for (; i < count && ids[i]! >= Static.PSEUDO; i++) {
    const wrong = placePseudo(ids[i]!, i);
    if (wrong !== "") return wrong;
    ids[i] = REMOVED;
  }
  const { method } = found;
  if (method < 0) return "a request without :method";
  let host = -1;
  let length = -1;
  let cookies = 0;
  for (; i < count; i++) {
    const id = ids[i]!;
    const kind = SPECIAL[id]!;
    if (kind === 0) continue;
    if (kind === FORBIDDEN) return `a field of HTTP/1.1 connections: ${fields.name(i)}`;
    if (kind === LOOKED_AT) {
      if (id === COOKIE) {
        cookies++;
        continue;
      }
      if (id === HOST) {
        if (host >= 0) return "more than one host";
        host = i;
      } else if (id === CONTENT_LENGTH) {
        if (length >= 0) return "more than one content-length";
        length = i;
      } else if (id === TE) {
        if (!valueIs(fields, i, "trailers")) return "te with anything but trailers";
        head.takesTrailers = true;
      } else if (id === EXPECT) {
        if (!valueIs(fields, i, "100-continue")) continue;
        head.expectsContinue = true;
      } else return wrongField(id);
    }
    ids[i] = REMOVED;
  }
  if (cookies > 1) joinCookies(fields);
  return readTarget(head, host) || readLength(head, length, ended);
}

function wrongField(id: number): string {
  return id === Static.INVALID
    ? "a name or value with characters that may not be in it"
    : "a pseudo-header field behind others";
}

/** @returns what is wrong with pseudo-header field `i` of a request. */
function placePseudo(id: number, i: number): string {
  let before = 0;
  switch (id) {
    case Static.METHOD:
      before = found.method;
      found.method = i;
      break;
    case Static.SCHEME:
      before = found.scheme;
      found.scheme = i;
      break;
    case Static.PATH:
      before = found.path;
      found.path = i;
      break;
    case Static.AUTHORITY:
      before = found.authority;
      found.authority = i;
      break;
    case Static.PROTOCOL:
      before = found.protocol;
      found.protocol = i;
      break;
    default:
      return id === Static.INVALID
        ? wrongField(id)
        : "a pseudo-header field that requests have not";
  }
  return before < 0 ? "" : "a pseudo-header field twice";
}

/** Method, scheme, authority and path, which belong together (section 8.3.1; CONNECT: 8.5 and RFC 8441). */
function readTarget(head: RequestHead, host: number): string {
  const { fields } = head;
  const { ranges } = fields;
  head.method = methodAt(fields, found.method);
  if (head.method === "") return "a method that is no token, or too long";
  const connect = head.method === "CONNECT";
  if (found.protocol >= 0) {
    const wrong = connect ? readUpgrade(head) : ":protocol without CONNECT";
    if (wrong !== "") return wrong;
  } else if (connect) {
    if (found.scheme >= 0 || found.path >= 0) return "CONNECT with :scheme or :path";
    if (found.authority < 0) return "CONNECT without :authority";
    return placeAuthority(head, host);
  }
  if (found.scheme < 0 || found.path < 0) return "a request without :scheme or :path";
  if (valueIs(fields, found.scheme, "https")) head.scheme = "https";
  else if (!valueIs(fields, found.scheme, "http")) return "a scheme that is neither http nor https";
  const start = (head.pathStart = ranges[found.path * 4 + 2]!);
  const end = (head.pathEnd = ranges[found.path * 4 + 3]!);
  const asterisk = end - start === 1 && fields.arena[start] === 0x2a;
  if (asterisk ? head.method !== "OPTIONS" : fields.arena[start] !== 0x2f || start === end) {
    return "a :path that does not begin with a slash";
  }
  if (!isTarget(fields.arena, start, end)) return "a :path with characters that may not be in it";
  return placeAuthority(head, host);
}

/** Extended CONNECT: told as HTTP/1.1 tells it. */
function readUpgrade(head: RequestHead): string {
  const { fields } = head;
  const start = fields.ranges[found.protocol * 4 + 2]!;
  const end = fields.ranges[found.protocol * 4 + 3]!;
  if (!isToken(fields.arena, start, end) || end - start > UPGRADE_BYTES_MAX) {
    return "a :protocol that is no token";
  }
  if (found.authority < 0) return "extended CONNECT without :authority";
  head.upgrade = fields.text(start, end).toLowerCase();
  head.method = "GET";
  return "";
}

function placeAuthority(head: RequestHead, host: number): string {
  const { fields } = head;
  const field = found.authority >= 0 ? found.authority : host;
  if (field < 0) return "a request without :authority and host";
  head.authorityStart = fields.ranges[field * 4 + 2]!;
  head.authorityEnd = fields.ranges[field * 4 + 3]!;
  if (!isAuthority(fields.arena, head.authorityStart, head.authorityEnd)) {
    return "an authority that is no host and port";
  }
  if (host >= 0 && host !== field && !sameValue(fields, host, field))
    return "host is not :authority";
  return "";
}

function readLength(head: RequestHead, field: number, ended: boolean): string {
  head.contentLength = ended ? 0 : UNKNOWN_LENGTH;
  if (field < 0) return "";
  const length = lengthAt(head.fields, field);
  if (length < 0) return "a content-length that is no number";
  if (ended && length > 0) return "a content-length without content";
  if (head.upgrade !== "" || head.method === "CONNECT") return "a content-length with CONNECT";
  head.contentLength = length;
  return "";
}

/**
 * @param ended END_STREAM came with it. `bodyless` is set by the caller, who knows the request.
 * @returns why it is malformed; empty if it is not.
 */
export function readResponse(head: ResponseHead, ended: boolean): string {
  const { fields } = head;
  const { ids, count } = fields;
  if (count === 0 || ids[0] !== Static.STATUS) return "an answer that does not begin with :status";
  head.status = statusAt(fields, 0);
  if (head.status < 0) return "a :status that is not three digits";
  if (head.status === 101) return "an answer with status 101";
  ids[0] = REMOVED;
  let length = -1;
  for (let i = 1; i < count; i++) {
    const id = ids[i]!;
    const kind = SPECIAL[id]!;
    if (kind === 0 || id === COOKIE || id === EXPECT) continue;
    if (kind === FORBIDDEN || id === TE)
      return `a field of HTTP/1.1 connections: ${fields.name(i)}`;
    if (id >= Static.PSEUDO) return wrongField(id);
    if (id === CONTENT_LENGTH) {
      if (length >= 0) return "more than one content-length";
      length = i;
    }
    ids[i] = REMOVED;
  }
  head.contentLength = UNKNOWN_LENGTH;
  if (length >= 0) {
    head.contentLength = lengthAt(fields, length);
    if (head.contentLength < 0) return "a content-length that is no number";
  }
  if (head.status < 200 && ended) return "an informational answer that ends the stream";
  return "";
}

/** @returns why the section is malformed; empty if it is not. Fields that no trailer may be are removed. */
export function readTrailers(fields: Fields): string {
  for (let i = 0; i < fields.count; i++) {
    const id = fields.ids[i]!;
    const kind = SPECIAL[id]!;
    if (kind === 0) continue;
    if (id >= Static.PSEUDO)
      return id === Static.INVALID ? wrongField(id) : "a pseudo-header field among trailers";
    if (kind === FORBIDDEN) return `a field of HTTP/1.1 connections: ${fields.name(i)}`;
    fields.ids[i] = REMOVED;
  }
  return "";
}

/** Crumbs become one field again (section 8.2.3). */
function joinCookies(fields: Fields): void {
  let first = -1;
  let flags = 0;
  let bytes = 0;
  for (let i = fields.find(COOKIE); i >= 0; i = fields.find(COOKIE, i + 1)) {
    bytes += 2 + fields.ranges[i * 4 + 3]! - fields.ranges[i * 4 + 2]!;
  }
  const start = fields.reserve(bytes - 2);
  let at = start;
  for (let i = fields.find(COOKIE); i >= 0; i = fields.find(COOKIE, i + 1)) {
    const { arena, ranges } = fields;
    if (first < 0) first = i;
    else {
      arena[at++] = 0x3b;
      arena[at++] = 0x20;
      fields.ids[i] = REMOVED;
    }
    for (let from = ranges[i * 4 + 2]!; from < ranges[i * 4 + 3]!; from++)
      arena[at++] = arena[from]!;
    flags |= fields.flags[i]! & NEVER_INDEXED;
  }
  fields.ranges[first * 4 + 2] = start;
  fields.ranges[first * 4 + 3] = at;
  fields.flags[first] = flags;
}

function methodAt(fields: Fields, i: number): string {
  const start = fields.ranges[i * 4 + 2]!;
  const end = fields.ranges[i * 4 + 3]!;
  for (const method of METHODS) if (valueIs(fields, i, method)) return method;
  if (end - start > H1.methodMaxBytes || !isToken(fields.arena, start, end)) return "";
  return fields.text(start, end);
}

function statusAt(fields: Fields, i: number): number {
  const { arena, ranges } = fields;
  const start = ranges[i * 4 + 2]!;
  if (ranges[i * 4 + 3]! - start !== 3) return -1;
  const first = arena[start]! - 0x30;
  const second = arena[start + 1]! - 0x30;
  const third = arena[start + 2]! - 0x30;
  const digits = first <= 9 && second >= 0 && second <= 9 && third >= 0 && third <= 9;
  return digits && first >= 1 ? first * 100 + second * 10 + third : -1;
}

/** Digits and nothing else, and a number that is exact. */
function lengthAt(fields: Fields, i: number): number {
  const { arena, ranges } = fields;
  const start = ranges[i * 4 + 2]!;
  const end = ranges[i * 4 + 3]!;
  if (start === end || end - start > 15) return -1;
  let length = 0;
  for (let at = start; at < end; at++) {
    const digit = arena[at]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}

/** Exactly this text. */
function valueIs(fields: Fields, i: number, text: string): boolean {
  const start = fields.ranges[i * 4 + 2]!;
  if (fields.ranges[i * 4 + 3]! - start !== text.length) return false;
  for (let j = 0; j < text.length; j++) {
    if (fields.arena[start + j] !== text.charCodeAt(j)) return false;
  }
  return true;
}

/** The same but for the case of letters. */
function sameValue(fields: Fields, a: number, b: number): boolean {
  const { arena, ranges } = fields;
  const from = ranges[a * 4 + 2]!;
  const to = ranges[b * 4 + 2]!;
  const length = ranges[a * 4 + 3]! - from;
  if (ranges[b * 4 + 3]! - to !== length) return false;
  for (let i = 0; i < length; i++) {
    if (lower(arena[from + i]!) !== lower(arena[to + i]!)) return false;
  }
  return true;
}
