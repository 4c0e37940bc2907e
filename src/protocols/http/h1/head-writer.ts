// Writes heads as HTTP/1.1. Fields that stand in the arena as they came, one line behind the other, are copied as one run; the
// others line by line.
//
// Invariant: nothing is written that could end a line or a head before its time, whatever version a head came by: what its parser
// has not looked at (Fields.checked) is looked at here, and refused. Fields of the connection, Host and Content-Length are
// never written from fields.
//
// Called by server.ts and backend.ts. Every function returns the position behind what it wrote, or INVALID.

import { H1 } from "../../../shared/limits.ts";
import { CLEAN, type Fields, REMOVED } from "../message/fields.ts";
import { type RequestHead, type ResponseHead, UNKNOWN_LENGTH } from "../message/heads.ts";
import { idOf } from "../message/names.ts";
import {
  all,
  CLASSES,
  COLON,
  CR,
  isAuthority,
  LF,
  octetsOf,
  SP,
  TARGET,
  TOKEN,
  VALUE,
} from "./octets.ts";
import type { Output } from "./output.ts";
import { statusLine } from "./status-lines.ts";

export const INVALID = -1;

/** By number of the name: 1 for what is written from fields. Those of the connection come first, then Host and Content-Length. */
const WRITTEN = new Uint8Array(256).fill(1).fill(0, 1, idOf("content-length") + 1);
WRITTEN[idOf("expect")] = WRITTEN[REMOVED] = 0;

/** What the lines that this file adds take at most, beside ranges. */
const LINES_BYTES = 512;

const GET = octetsOf("GET ");
const AFTER_TARGET = octetsOf(" HTTP/1.1\r\nHost: ");
const CONTENT_LENGTH = octetsOf("Content-Length: ");
const CHUNKED = octetsOf("Transfer-Encoding: chunked\r\n");
const EXPECT = octetsOf("Expect: 100-continue\r\n");
const TE = octetsOf("TE: trailers\r\n");
const CONNECTION_TE = octetsOf("Connection: TE\r\n");
const CONNECTION_UPGRADE_TE = octetsOf("Connection: Upgrade, TE\r\n");
const CONNECTION_UPGRADE = octetsOf("Connection: Upgrade\r\n");
const UPGRADE = octetsOf("Upgrade: ");
const CLOSE = octetsOf("Connection: close\r\n");
const KEEP_ALIVE = octetsOf("Connection: keep-alive\r\n");

/** What an answer's head says of connection and framing. */
export interface Framing {
  readonly close: boolean;
  /** Said to HTTP/1.0, which would not expect it. */
  readonly keepAlive: boolean;
  readonly chunked: boolean;
  /** -1: no Content-Length. */
  readonly length: number;
  /** Of a 101; empty otherwise. */
  readonly upgrade: string;
}

/** How many bytes a head with these fields may take. */
export function roomFor(fields: Fields): number {
  return fields.used + fields.count * 4 + LINES_BYTES;
}

/** @returns INVALID for a head that cannot be said in HTTP/1.1. */
export function writeRequest(out: Output, from: number, head: RequestHead): number {
  const { fields, method, contentLength, upgrade } = head;
  let at = from;
  if (method === "GET") at = putAll(out, at, GET);
  else {
    at = putToken(out, at, method);
    if (at === INVALID) return INVALID;
    out.bytes[at++] = SP;
  }
  const { arena, checked } = fields;
  const { pathStart, pathEnd, authorityStart, authorityEnd } = head;
  if (pathEnd > checked && !all(arena, pathStart, pathEnd, TARGET)) return INVALID;
  if (!isRequestTarget(head)) return INVALID;
  at = out.put(at, arena, pathStart, pathEnd);
  at = putAll(out, at, AFTER_TARGET);
  if (authorityEnd > authorityStart) {
    if (authorityEnd > checked && !isAuthority(arena, authorityStart, authorityEnd)) return INVALID;
    at = out.put(at, arena, authorityStart, authorityEnd);
  }
  at = endLine(out, at);
  at = writeFields(out, at, fields);
  if (at === INVALID) return INVALID;
  if (upgrade !== "" || head.takesTrailers) at = putConnection(out, at, head);
  if (at === INVALID) return INVALID;
  if (upgrade !== "") return endLine(out, at); // without content: what follows is not for HTTP
  if (contentLength === UNKNOWN_LENGTH) at = putAll(out, at, CHUNKED);
  else if (contentLength > 0 || expectsContent(method)) at = putLength(out, at, contentLength);
  if (head.expectsContinue) at = putAll(out, at, EXPECT);
  return endLine(out, at);
}

/** An origin-form, or the asterisk of OPTIONS; CONNECT is not spoken to backends. */
function isRequestTarget({ fields, method, pathStart, pathEnd }: RequestHead): boolean {
  const first = fields.arena[pathStart];
  if (pathEnd === pathStart || method === "CONNECT") return false;
  return first === 0x2f || (first === 0x2a && pathEnd === pathStart + 1 && method === "OPTIONS");
}

/** RFC 9110 section 8.6: methods that mean something by content say that there is none. */
function expectsContent(method: string): boolean {
  return method === "POST" || method === "PUT" || method === "PATCH";
}

function putConnection(out: Output, at: number, { upgrade, takesTrailers }: RequestHead): number {
  if (takesTrailers) at = putAll(out, at, TE);
  if (upgrade === "") return putAll(out, at, CONNECTION_TE);
  at = putAll(out, at, takesTrailers ? CONNECTION_UPGRADE_TE : CONNECTION_UPGRADE);
  return putUpgrade(out, at, upgrade);
}

export function writeResponse(
  out: Output,
  from: number,
  head: ResponseHead,
  framing: Framing,
): number {
  let at = putAll(out, from, statusLine(head.status));
  at = writeFields(out, at, head.fields);
  if (at === INVALID) return INVALID;
  if (framing.upgrade !== "") {
    at = putUpgrade(out, putAll(out, at, CONNECTION_UPGRADE), framing.upgrade);
    if (at === INVALID) return INVALID;
  }
  if (framing.length >= 0) at = putLength(out, at, framing.length);
  if (framing.chunked) at = putAll(out, at, CHUNKED);
  if (framing.close) at = putAll(out, at, CLOSE);
  else if (framing.keepAlive) at = putAll(out, at, KEEP_ALIVE);
  return endLine(out, at);
}

/** Field lines of a head or of trailers, without the empty line at their end. */
export function writeFields(out: Output, from: number, fields: Fields): number {
  const { arena, ranges, ids, count } = fields;
  let at = from;
  for (let i = 0; i < count;) {
    if (WRITTEN[ids[i]!] === 0) {
      i++;
      continue;
    }
    if (!isLine(fields, i)) {
      at = putField(out, at, fields, i++);
      if (at === INVALID) return INVALID;
      continue;
    }
    const start = ranges[i * 4]!;
    let end = ranges[i * 4 + 3]!;
    // As far as one line follows the other.
    while (
      ++i < count &&
      ranges[i * 4] === end + 2 &&
      arena[end] === CR &&
      arena[end + 1] === LF &&
      WRITTEN[ids[i]!] === 1 &&
      isLine(fields, i)
    ) {
      end = ranges[i * 4 + 3]!;
    }
    at = endLine(out, out.put(at, arena, start, end));
  }
  return at;
}

/** Whether field `i` was checked, and stands there as `name: value`. */
function isLine({ arena, ranges, flags, checked }: Fields, i: number): boolean {
  const nameEnd = ranges[i * 4 + 1]!;
  return (
    (ranges[i * 4 + 3]! <= checked || (flags[i]! & CLEAN) !== 0) &&
    ranges[i * 4 + 2] === nameEnd + 2 &&
    arena[nameEnd] === COLON &&
    arena[nameEnd + 1] === SP
  );
}

function putField(out: Output, at: number, { arena, ranges, checked }: Fields, i: number): number {
  const nameStart = ranges[i * 4]!;
  const nameEnd = ranges[i * 4 + 1]!;
  const start = ranges[i * 4 + 2]!;
  const end = ranges[i * 4 + 3]!;
  const isChecked = nameEnd <= checked && end <= checked;
  if (!isChecked) {
    if (nameEnd === nameStart || !all(arena, nameStart, nameEnd, TOKEN)) return INVALID;
    if (!all(arena, start, end, VALUE)) return INVALID;
  }
  at = out.put(at, arena, nameStart, nameEnd);
  out.bytes[at++] = COLON;
  out.bytes[at++] = SP;
  return endLine(out, out.put(at, arena, start, end));
}

function putAll(out: Output, at: number, bytes: Uint8Array): number {
  return out.put(at, bytes, 0, bytes.length);
}

/** Of a method that is not GET, or a protocol: strings, so looked at whoever made them. */
function putToken(out: Output, at: number, text: string): number {
  if (text.length === 0 || text.length > H1.methodMaxBytes) return INVALID;
  for (let i = 0; i < text.length; i++) {
    const octet = text.charCodeAt(i);
    if (octet > 0x7f || (CLASSES[octet]! & TOKEN) === 0) return INVALID;
    out.bytes[at++] = octet;
  }
  return at;
}

/** A protocol, with a version or without (RFC 9110 section 7.8). */
function putUpgrade(out: Output, at: number, upgrade: string): number {
  at = putAll(out, at, UPGRADE);
  const slash = upgrade.indexOf("/");
  at = putToken(out, at, slash < 0 ? upgrade : upgrade.slice(0, slash));
  if (slash >= 0 && at !== INVALID) {
    out.bytes[at++] = 0x2f;
    at = putToken(out, at, upgrade.slice(slash + 1));
  }
  return at === INVALID ? INVALID : endLine(out, at);
}

function putLength(out: Output, at: number, length: number): number {
  return endLine(out, putDecimal(out, putAll(out, at, CONTENT_LENGTH), length));
}

function putDecimal(out: Output, at: number, value: number): number {
  let digits = 1;
  for (let bound = 10; value >= bound; bound *= 10) digits++;
  for (let i = at + digits - 1; i >= at; i--) {
    const rest = Math.floor(value / 10);
    out.bytes[i] = 0x30 + value - rest * 10;
    value = rest;
  }
  return at + digits;
}

function endLine(out: Output, at: number): number {
  out.bytes[at] = CR;
  out.bytes[at + 1] = LF;
  return at + 2;
}
