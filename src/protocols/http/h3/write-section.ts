// Writes heads and trailers as HEADERS frames, and bodies as DATA frames (RFC 9114 sections 4.3 and 7.2). Each is put together in
// one buffer of the thread and given away in one call: who takes it copies what cannot go out at once. Called by streams.

import { H3 } from "../../../shared/limits.ts";
import { boundOf } from "../h2/hpack/primitives.ts";
import { SKIPPED } from "../h2/write-section.ts";
import { type Fields, REMOVED } from "../message/fields.ts";
import type { RequestHead, ResponseHead } from "../message/heads.ts";
import { idOf } from "../message/names.ts";
import * as C from "./constants.ts";
import { QpackEncoder } from "./qpack/encoder.ts";
import { writeVarint, writeVarint4 } from "./varint.ts";

/** Where frames go: a stream, or what waits until there is one. */
export interface FrameTarget {
  writeRange(bytes: Uint8Array, start: number, end: number): boolean;
}

/** Of WebSocket's handshake in HTTP/1.1, which RFC 9220 leaves out. */
const KEY = idOf("sec-websocket-key");
const ACCEPT = idOf("sec-websocket-accept");

// Entries of the static table: the first with their name.
const AUTHORITY = 0;
const PATH = 1;
const CONTENT_LENGTH = 4;
const METHOD = 15;
const METHOD_GET = 17;
const METHOD_POST = 20;
const SCHEME_HTTP = 22;
const SCHEME_HTTPS = 23;
const STATUS = 24;
const STATUS_200 = 25;

/** Pseudo-header fields but for their values, content-length, te, expect, and the section's prefix. */
const HEAD_OVERHEAD = 192;
/** Type and a length in four bytes. */
const FRAME_HEADER = 5;
const DATA_HEADER_MAX = 9;

const encoder = new QpackEncoder();
let output = new Uint8Array(H3.joinMaxBytes + DATA_HEADER_MAX);

function begin(bound: number): void {
  if (output.length < bound + FRAME_HEADER) output = new Uint8Array(bound + FRAME_HEADER);
  encoder.begin(output, FRAME_HEADER);
}

function finish(to: FrameTarget): boolean {
  const end = encoder.at;
  output[0] = C.HEADERS;
  writeVarint4(end - FRAME_HEADER, output, 1);
  const more = to.writeRange(output, 0, end);
  // One large head is no reason to keep its memory.
  if (output.length > H3.outputKeptBytes)
    output = new Uint8Array(H3.joinMaxBytes + DATA_HEADER_MAX);
  return more;
}

/** @param upgraded status 101 accepts an extended CONNECT, which HTTP/3 says by 200. */
export function writeResponse(to: FrameTarget, head: ResponseHead, upgraded: boolean): boolean {
  const { fields } = head;
  const status = upgraded && head.status === 101 ? 200 : head.status;
  begin(boundOf(fields) + HEAD_OVERHEAD);
  if (status === 200) encoder.indexed(STATUS_200);
  else encoder.text(STATUS, String(status));
  writeFields(fields, upgraded ? ACCEPT : REMOVED);
  if (head.contentLength >= 0 && status >= 200 && status !== 204 && !upgraded) {
    encoder.text(CONTENT_LENGTH, String(head.contentLength));
  }
  return finish(to);
}

export function writeRequest(to: FrameTarget, head: RequestHead): boolean {
  const { fields, method, upgrade } = head;
  const { arena } = fields;
  const target = head.authorityEnd - head.authorityStart + head.pathEnd - head.pathStart;
  begin(boundOf(fields) + target + method.length + upgrade.length + HEAD_OVERHEAD);
  const connect = method === "CONNECT";
  if (upgrade !== "") encoder.text(METHOD, "CONNECT");
  else if (method === "GET") encoder.indexed(METHOD_GET);
  else if (method === "POST") encoder.indexed(METHOD_POST);
  else encoder.text(METHOD, method);
  if (!connect) encoder.indexed(head.scheme === "https" ? SCHEME_HTTPS : SCHEME_HTTP);
  if (head.authorityEnd > head.authorityStart) {
    encoder.value(AUTHORITY, arena, head.authorityStart, head.authorityEnd);
  }
  if (!connect) encoder.value(PATH, arena, head.pathStart, head.pathEnd);
  if (upgrade !== "") encoder.literal(":protocol", upgrade);
  writeFields(fields, upgrade === "" ? REMOVED : KEY);
  const expected = method === "POST" || method === "PUT" || method === "PATCH" ? 0 : 1;
  if (head.contentLength >= expected && upgrade === "" && !connect) {
    encoder.text(CONTENT_LENGTH, String(head.contentLength));
  }
  if (head.takesTrailers) encoder.literal("te", "trailers");
  if (head.expectsContinue) encoder.literal("expect", "100-continue");
  return finish(to);
}

export function writeTrailers(to: FrameTarget, fields: Fields): boolean {
  begin(boundOf(fields) + HEAD_OVERHEAD);
  writeFields(fields, REMOVED);
  return finish(to);
}

/** One DATA frame. @returns as the target's `writeRange`. */
export function writeData(to: FrameTarget, bytes: Uint8Array): boolean {
  const { length } = bytes;
  output[0] = C.DATA;
  const at = writeVarint(length, output, 1);
  if (length > H3.joinMaxBytes) {
    to.writeRange(output, 0, at);
    return to.writeRange(bytes, 0, length);
  }
  output.set(bytes, at);
  return to.writeRange(output, 0, at + length);
}

/** @param also a number that is skipped, too. */
function writeFields(fields: Fields, also: number): void {
  const { ids, count } = fields;
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    if (SKIPPED[id] === 0 && id !== also) encoder.field(fields, i);
  }
}
