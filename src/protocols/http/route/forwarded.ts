// What a backend is told of the client: X-Forwarded-For, -Proto, -Host and -Port, X-Real-IP, Forwarded (RFC 7239). Of a client
// that is not trusted all of it is ours, and the same for every request that it makes to a host: a block of bytes. What a
// trusted proxy says is kept, and its own address added to it.
//
// X-Forwarded-Port is the port that the client asked for: that of Host, or its scheme's. X-Real-IP is who came first that can
// be believed: what a trusted proxy says there, or else the last one in its X-Forwarded-For. A client of a unix socket has no
// address: it is `unknown` in Forwarded, and no address is added elsewhere.

import type { ForwardedPlan } from "../../../shared/http-plan.ts";
import type { ClientConnection } from "../exchange.ts";
import type { Fields } from "../message/fields.ts";
import { idOf, type KnownName } from "../message/names.ts";
import { type BlockField, latin1 } from "./block.ts";

/** Every field that says who a client is, or what it asked for. */
export const CLAIMS = [
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-real-ip",
] as const satisfies readonly KnownName[];

const FORWARDED = 0;
const X_FOR = 1;
const X_PROTO = 2;
const X_HOST = 3;
const X_PORT = 4;
const X_REAL_IP = 5;

/** By place in CLAIMS. */
const IDS = CLAIMS.map(idOf);
const NAMES = CLAIMS.map(latin1);
const COMMA = latin1(", ");

/** By place in CLAIMS: whether a route sends it. */
export type Wanted = readonly boolean[];

/** Those of the plan, without those that the route's own edits replace or remove. */
export function wantedClaims(plan: ForwardedPlan, edited: ReadonlySet<string>): Wanted {
  return CLAIMS.map((name, i) => {
    const planned = i === FORWARDED ? plan.forwarded : plan.xForwarded;
    return planned && !edited.has(name);
  });
}

/** What there is to say of a client, for a host that it asks for. */
export class Client {
  /** By place in CLAIMS; empty: nothing. */
  readonly #values: readonly Uint8Array[];

  /** @param authority Host or :authority; empty if there was none. */
  constructor({ address, tls }: ClientConnection, authority: string) {
    const proto = tls === null ? "http" : "https";
    this.#values = [
      forwardedElement(address, proto, authority),
      address,
      proto,
      authority,
      portOf(authority, proto),
      address,
    ].map(latin1);
  }

  /** For a client that is not trusted. */
  claims(wanted: Wanted): BlockField[] {
    const fields = CLAIMS.map((name, i) => ({ name, value: this.#values[i]! }));
    return fields.filter(({ value }, i) => wanted[i] && value.length > 0);
  }

  /** For a client that is trusted: adds to what it says, and says what it does not. */
  addTo(fields: Fields, wanted: Wanted): void {
    if (wanted[X_REAL_IP] && fields.find(IDS[X_REAL_IP]!) < 0) {
      const chain = fields.findLast(IDS[X_FOR]!);
      if (chain < 0 || !pushLastOf(fields, chain)) this.#push(fields, X_REAL_IP);
    }
    if (wanted[X_FOR]) this.#extend(fields, X_FOR);
    if (wanted[FORWARDED]) this.#extend(fields, FORWARDED);
    const hasProto = fields.find(IDS[X_PROTO]!) >= 0;
    const hasHost = fields.find(IDS[X_HOST]!) >= 0;
    // Of a scheme or host that somebody else says, only they know the port.
    const knowsPort = !hasProto && !hasHost && fields.find(IDS[X_PORT]!) < 0;
    if (wanted[X_PROTO] && !hasProto) this.#push(fields, X_PROTO);
    if (wanted[X_HOST] && !hasHost) this.#push(fields, X_HOST);
    if (wanted[X_PORT] && knowsPort) this.#push(fields, X_PORT);
  }

  #push(fields: Fields, claim: number): void {
    const name = NAMES[claim]!;
    const value = this.#values[claim]!;
    if (value.length === 0) return;
    const nameStart = fields.append(name, 0, name.length);
    const valueStart = fields.append(value, 0, value.length);
    fields.push(IDS[claim]!, nameStart, valueStart, valueStart, fields.used);
  }

  /** All fields of this name become one, a list with ours at its end. */
  #extend(fields: Fields, claim: number): void {
    const id = IDS[claim]!;
    const name = NAMES[claim]!;
    const value = this.#values[claim]!;
    if (value.length === 0) return;
    const first = fields.find(id);
    if (first < 0) return this.#push(fields, claim);
    const nameStart = fields.append(name, 0, name.length);
    const valueStart = fields.used;
    for (let i = first; i >= 0; i = fields.find(id, i + 1)) {
      const from = fields.ranges[i * 4 + 2]!;
      const to = fields.ranges[i * 4 + 3]!;
      fields.remove(i);
      // What is not closed would have ours inside it.
      if (from === to || !isClosed(fields.arena, from, to)) continue;
      fields.append(fields.arena, from, to);
      fields.append(COMMA, 0, COMMA.length);
    }
    fields.append(value, 0, value.length);
    fields.push(id, nameStart, valueStart, valueStart, fields.used);
  }
}

/** Whether every quoted string (RFC 9110 section 5.6.4) in a value has its end. */
function isClosed(bytes: Uint8Array, start: number, end: number): boolean {
  let inside = false;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === 0x22) inside = !inside;
    else if (byte === 0x5c && inside) i++;
  }
  return !inside;
}

/** X-Real-IP from the last element of the list in field `i`. @returns false if that does not look like an address. */
function pushLastOf(fields: Fields, i: number): boolean {
  const { arena, ranges } = fields;
  const end = ranges[i * 4 + 3]!;
  let start = end;
  while (start > ranges[i * 4 + 2]! && isOfAddress(arena[start - 1]!)) start--;
  const before = arena[start - 1]!;
  const isElement = start === ranges[i * 4 + 2] || before === 0x2c || before === 0x20;
  if (start === end || !isElement) return false;
  const name = NAMES[X_REAL_IP]!;
  const nameStart = fields.append(name, 0, name.length);
  // The value stands in the arena already.
  fields.push(IDS[X_REAL_IP]!, nameStart, nameStart + name.length, start, end);
  return true;
}

/** Digits, `a` to `f`, `.` and `:`. */
function isOfAddress(byte: number): boolean {
  const letter = byte | 0x20;
  return (byte >= 0x2e && byte <= 0x3a && byte !== 0x2f) || (letter >= 0x61 && letter <= 0x66);
}

/** RFC 7239 sections 4 and 6: an IPv6 address is in brackets, and quoted, as is a host with a port. */
function forwardedElement(address: string, proto: string, authority: string): string {
  const node = address === "" ? "unknown" : address.includes(":") ? `"[${address}]"` : address;
  const host = /^[\x21-\x7e]+$/.test(authority) ? `;host=${quoted(authority)}` : "";
  return `for=${node}${host};proto=${proto}`;
}

function quoted(text: string): string {
  const isToken = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
  return isToken ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** That the client asked for. */
export function portOf(authority: string, proto: string): string {
  const port = /^(?:\[[^\]]*\]|[^:]*):(\d{1,5})$/.exec(authority)?.[1];
  return port ?? (proto === "https" ? "443" : "80");
}
