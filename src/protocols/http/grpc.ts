// What a proxy needs to know of gRPC (grpc.io: PROTOCOL-HTTP2.md, http-grpc-status-mapping.md, statuscodes.md): which requests
// are its, what a status of HTTP is in its terms, and how long a call may take. Pure.

import type { Fields } from "./message/fields.ts";
import { idOf, lower } from "./message/names.ts";

const CONTENT_TYPE = idOf("content-type");
const GRPC_TIMEOUT = idOf("grpc-timeout");
const GRPC = new TextEncoder().encode("application/grpc");

export const UNKNOWN_STATUS = 2;
export const DEADLINE_EXCEEDED = 4;

/** By status of HTTP; all others are UNKNOWN. */
const STATUSES = new Map<number, number>([
  [400, 13], // INTERNAL
  [401, 16], // UNAUTHENTICATED
  [403, 7], // PERMISSION_DENIED
  [404, 12], // UNIMPLEMENTED
  [429, 14], // UNAVAILABLE, as the next three
  [502, 14],
  [503, 14],
  [504, 14],
]);

/** What clients make of an answer of HTTP without grpc-status (http-grpc-status-mapping.md). */
export function grpcStatusOf(status: number): number {
  return STATUSES.get(status) ?? UNKNOWN_STATUS;
}

/** Content-Type `application/grpc`, or that with `+proto` or a parameter behind it; not gRPC-Web's. */
export function isGrpc(fields: Fields): boolean {
  const i = fields.find(CONTENT_TYPE);
  if (i < 0) return false;
  const { arena, ranges } = fields;
  const start = ranges[i * 4 + 2]!;
  const length = ranges[i * 4 + 3]! - start;
  if (length < GRPC.length) return false;
  for (let j = 0; j < GRPC.length; j++) {
    if (lower(arena[start + j]!) !== GRPC[j]) return false;
  }
  const next = arena[start + GRPC.length];
  return length === GRPC.length || next === 0x2b || next === 0x3b || next === 0x20;
}

/** Milliseconds in one of each unit. */
const UNITS = new Map<number, number>([
  [0x48, 3_600_000], // H
  [0x4d, 60_000], // M
  [0x53, 1_000], // S
  [0x6d, 1], // m
  [0x75, 0.001], // u
  [0x6e, 0.000_001], // n
]);

/**
 * How long the client waits for the call: grpc-timeout, one to eight digits and a unit.
 * @returns milliseconds, whole ones, rounded up; Infinity without it, or if it is malformed.
 */
export function grpcTimeoutMs(fields: Fields): number {
  const i = fields.find(GRPC_TIMEOUT);
  if (i < 0) return Infinity;
  const { arena, ranges } = fields;
  const start = ranges[i * 4 + 2]!;
  const last = ranges[i * 4 + 3]! - 1;
  const unit = UNITS.get(arena[last] ?? 0);
  if (unit === undefined || last === start || last - start > 8) return Infinity;
  let value = 0;
  for (let at = start; at < last; at++) {
    const digit = arena[at]! - 0x30;
    if (digit < 0 || digit > 9) return Infinity;
    value = value * 10 + digit;
  }
  return Math.ceil(value * unit);
}

/**
 * How long the head of an answer may take: a call that says how long it may take has that time, be it longer or shorter than
 * what the configuration gives to others (a call that waits for an event has no head before).
 * @param otherwiseMs 0: for ever, as of what is returned.
 */
export function answerTimeoutMs(fields: Fields, otherwiseMs: number): number {
  const timeoutMs = grpcTimeoutMs(fields);
  return timeoutMs === Infinity || !isGrpc(fields) ? otherwiseMs : Math.max(1, timeoutMs);
}

/** A message as grpc-message has it: percent-encoded but for visible ASCII. */
export function grpcMessage(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]/gu, (character) =>
    [...new TextEncoder().encode(character)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`)
      .join(""),
  );
}
