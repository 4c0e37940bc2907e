// Writes heads and trailers as field blocks (RFC 9113 section 8): pseudo-header fields first, then the fields, without those
// of HTTP/1.1 connections. Called by server and client between their sender's beginBlock and endBlock.

import { type Fields, REMOVED } from "../message/fields.ts";
import type { RequestHead, ResponseHead } from "../message/heads.ts";
import { idOf } from "../message/names.ts";
import type { HpackEncoder } from "./hpack/encoder.ts";
import { boundOf } from "./hpack/primitives.ts";
import * as Static from "./hpack/static-table.ts";
import type { Sender } from "./sender.ts";

const CONTENT_LENGTH = idOf("content-length");
/** By number: 1 for what is not sent, or by a place of its own in the head. */
export const SKIPPED = new Uint8Array(256);
for (const name of [
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  "host",
  "content-length",
  "te",
] as const) {
  SKIPPED[idOf(name)] = 1;
}
SKIPPED[REMOVED] = 1;
/** Of WebSocket's handshake in HTTP/1.1, which RFC 8441 section 5 leaves out. */
const KEY = idOf("sec-websocket-key");
const ACCEPT = idOf("sec-websocket-accept");

/** Pseudo-header fields but for their values, content-length, te, expect, and two changes of the table's size. */
const HEAD_OVERHEAD = 192;

const STATUS_INDEXES = new Map([
  [200, 8],
  [204, 9],
  [206, 10],
  [304, 11],
  [400, 12],
  [404, 13],
  [500, 14],
]);
const METHOD_GET = 2;
const METHOD_POST = 3;
const SCHEME_HTTP = 6;
const SCHEME_HTTPS = 7;
const STATUS_NAME = 8;

/** @param upgraded status 101 accepts an extended CONNECT, which h2 says by 200. */
export function writeResponse(
  sender: Sender,
  stream: number,
  head: ResponseHead,
  end: boolean,
  upgraded: boolean,
): void {
  const { fields } = head;
  const { encoder } = sender;
  const status = upgraded && head.status === 101 ? 200 : head.status;
  sender.beginBlock(boundOf(fields) + HEAD_OVERHEAD);
  const index = STATUS_INDEXES.get(status);
  if (index === undefined) encoder.digitsOf(STATUS_NAME, status);
  else encoder.indexed(index);
  writeFields(encoder, fields, upgraded ? ACCEPT : REMOVED);
  if (head.contentLength >= 0 && status >= 200 && status !== 204 && !upgraded) {
    encoder.digits(CONTENT_LENGTH, head.contentLength);
  }
  sender.endBlock(stream, end);
}

export function writeRequest(
  sender: Sender,
  stream: number,
  head: RequestHead,
  end: boolean,
): void {
  const { fields, method, upgrade } = head;
  const { encoder } = sender;
  const target = head.authorityEnd - head.authorityStart + head.pathEnd - head.pathStart;
  sender.beginBlock(boundOf(fields) + target + method.length + upgrade.length + HEAD_OVERHEAD);
  const connect = method === "CONNECT";
  if (upgrade !== "") encoder.valueText(Static.METHOD, "CONNECT");
  else if (method === "GET") encoder.indexed(METHOD_GET);
  else if (method === "POST") encoder.indexed(METHOD_POST);
  else encoder.valueText(Static.METHOD, method);
  if (!connect) encoder.indexed(head.scheme === "https" ? SCHEME_HTTPS : SCHEME_HTTP);
  if (head.authorityEnd > head.authorityStart) {
    encoder.value(Static.AUTHORITY, fields.arena, head.authorityStart, head.authorityEnd);
  }
  if (!connect) writePath(encoder, head);
  if (upgrade !== "") encoder.text(":protocol", upgrade);
  writeFields(encoder, fields, upgrade === "" ? REMOVED : KEY);
  const expected = method === "POST" || method === "PUT" || method === "PATCH" ? 0 : 1;
  if (head.contentLength >= expected && upgrade === "" && !connect) {
    encoder.digits(CONTENT_LENGTH, head.contentLength);
  }
  if (head.takesTrailers) encoder.text("te", "trailers");
  if (head.expectsContinue) encoder.text("expect", "100-continue");
  sender.endBlock(stream, end);
}

function writePath(encoder: HpackEncoder, head: RequestHead): void {
  const { arena } = head.fields;
  const { pathStart, pathEnd } = head;
  if (pathEnd - pathStart === 1 && arena[pathStart] === 0x2f) encoder.indexed(4);
  else encoder.value(Static.PATH, arena, pathStart, pathEnd);
}

export function writeTrailers(sender: Sender, stream: number, fields: Fields): void {
  sender.beginBlock(boundOf(fields) + HEAD_OVERHEAD);
  writeFields(sender.encoder, fields, REMOVED);
  sender.endBlock(stream, true);
}

/** @param also a number that is skipped, too. */
function writeFields(encoder: HpackEncoder, fields: Fields, also: number): void {
  const { ids, count } = fields;
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    if (SKIPPED[id] === 0 && id !== also) encoder.field(fields, i);
  }
}
