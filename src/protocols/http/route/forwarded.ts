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

export type Claim = (typeof CLAIMS)[number];

/** Which of them a route sends: those of the plan, without those that the route's own edits replace or remove. */
export function claimsOf(plan: ForwardedPlan, edited: ReadonlySet<string>): ReadonlySet<Claim> {
  const wanted = CLAIMS.filter((name) => (name === "forwarded" ? plan.forwarded : plan.xForwarded));
  return new Set(wanted.filter((name) => !edited.has(name)));
}

/** What there is to say of a client, for a host that it asks for. */
export class Client {
  readonly #values: Readonly<Record<Claim, Uint8Array>>;

  /** @param authority Host or :authority; empty if there was none. */
  constructor({ address, tls }: ClientConnection, authority: string) {
    const proto = tls === null ? "http" : "https";
    this.#values = {
      forwarded: latin1(forwardedElement(address, proto, authority)),
      "x-forwarded-for": latin1(address),
      "x-forwarded-proto": latin1(proto),
      "x-forwarded-host": latin1(authority),
      "x-forwarded-port": latin1(portOf(authority, proto)),
      "x-real-ip": latin1(address),
    };
  }

  /** For a client that is not trusted. */
  claims(wanted: ReadonlySet<Claim>): BlockField[] {
    return CLAIMS.filter((name) => wanted.has(name) && this.#values[name].length > 0).map(
      (name) => ({ name, value: this.#values[name] }),
    );
  }

  /** For a client that is trusted: adds to what it says, and says what it does not. */
  addTo(fields: Fields, wanted: ReadonlySet<Claim>): void {
    if (wanted.has("x-real-ip") && fields.find(X_REAL_IP) < 0) {
      const chain = fields.findLast(X_FORWARDED_FOR);
      if (chain < 0) push(fields, X_REAL_IP, NAMES["x-real-ip"], this.#values["x-real-ip"]);
      else pushLastOf(fields, chain);
    }
    if (wanted.has("x-forwarded-for")) this.#extend(fields, "x-forwarded-for", X_FORWARDED_FOR);
    if (wanted.has("forwarded")) this.#extend(fields, "forwarded", FORWARDED);
    if (wanted.has("x-forwarded-proto")) this.#complete(fields, "x-forwarded-proto", X_PROTO);
    if (wanted.has("x-forwarded-host")) this.#complete(fields, "x-forwarded-host", X_HOST);
    if (wanted.has("x-forwarded-port")) this.#complete(fields, "x-forwarded-port", X_PORT);
  }

  #complete(fields: Fields, name: Claim, id: number): void {
    if (fields.find(id) < 0) push(fields, id, NAMES[name], this.#values[name]);
  }

  /** All fields of this name become one, a list with ours at its end. */
  #extend(fields: Fields, name: Claim, id: number): void {
    const value = this.#values[name];
    if (value.length === 0) return;
    const first = fields.find(id);
    if (first < 0) return push(fields, id, NAMES[name], value);
    const nameStart = fields.append(NAMES[name], 0, NAMES[name].length);
    const valueStart = fields.used;
    for (let i = first; i >= 0; i = fields.find(id, i + 1)) {
      const from = fields.ranges[i * 4 + 2]!;
      const to = fields.ranges[i * 4 + 3]!;
      fields.remove(i);
      if (from === to) continue;
      fields.append(fields.arena, from, to);
      fields.append(COMMA, 0, COMMA.length);
    }
    fields.append(value, 0, value.length);
    fields.push(id, nameStart, valueStart, valueStart, fields.used);
  }
}

const FORWARDED = idOf("forwarded");
const X_FORWARDED_FOR = idOf("x-forwarded-for");
const X_PROTO = idOf("x-forwarded-proto");
const X_HOST = idOf("x-forwarded-host");
const X_PORT = idOf("x-forwarded-port");
const X_REAL_IP = idOf("x-real-ip");
const NAMES = Object.fromEntries(CLAIMS.map((name) => [name, latin1(name)])) as Readonly<
  Record<Claim, Uint8Array>
>;
const COMMA = latin1(", ");

function push(fields: Fields, id: number, name: Uint8Array, value: Uint8Array): void {
  if (value.length === 0) return;
  const nameStart = fields.append(name, 0, name.length);
  const valueStart = fields.append(value, 0, value.length);
  fields.push(id, nameStart, valueStart, valueStart, fields.used);
}

/** X-Real-IP from the last element of the list in field `i`. */
function pushLastOf(fields: Fields, i: number): void {
  const { arena, ranges } = fields;
  const end = ranges[i * 4 + 3]!;
  let start = end;
  while (start > ranges[i * 4 + 2]! && arena[start - 1] !== 0x2c) start--;
  while (start < end && (arena[start] === 0x20 || arena[start] === 0x09)) start++;
  if (start < end) push(fields, X_REAL_IP, NAMES["x-real-ip"], arena.slice(start, end));
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

function portOf(authority: string, proto: string): string {
  const port = /^(?:\[[^\]]*\]|[^:]*):(\d{1,5})$/.exec(authority)?.[1];
  return port ?? (proto === "https" ? "443" : "80");
}
