// Encodes field sections (RFC 7541) into an output buffer. What was sent before is found by the number of its name, without
// strings: entries with the same name are chained, newest first, and their values are compared as bytes.
//
//   heads[bucket of name] ──▶ newest entry ──chain──▶ older one ──▶ ... (ends at one that was evicted)
//
// What is indexed: names whose values hardly change at once, others when a value comes for the second time running (so that a
// date or a length costs no entry); credentials never (RFC 7541 section 7.1.3), nor what came in as never indexed. Pure.

import { H2 } from "../../../../shared/limits.ts";
import { type Fields, NEVER_INDEXED } from "../../message/fields.ts";
import { idOf, lower, UNKNOWN } from "../../message/names.ts";
import { DynamicTable, ENTRY_OVERHEAD } from "./dynamic-table.ts";
import { PrimitiveWriter } from "./primitives.ts";
import * as Static from "./static-table.ts";

const BUCKETS = 256;
/** Of names without a number: these, by a hash. No number of names.ts or of a pseudo-header field is among them. */
const FIRST_UNKNOWN = 160;
const UNKNOWN_MASK = 63;
const PLACE_MASK = H2.headerTableBytes / ENTRY_OVERHEAD - 1;
/** How far back a chain is followed: values that take turns. */
const CHAIN_MAX = 4;

const NEVER = 1;
/** The first value is worth an entry already. */
const AT_ONCE = 2;
const POLICY = new Uint8Array(BUCKETS);
for (const name of [
  "authorization",
  "proxy-authorization",
  "proxy-authenticate",
  "www-authenticate",
  "cookie",
  "set-cookie",
] as const) {
  POLICY[idOf(name)] = NEVER;
}
for (const name of [
  "server",
  "via",
  "content-type",
  "content-encoding",
  "vary",
  "cache-control",
  "accept",
  "accept-encoding",
  "accept-language",
  "accept-ranges",
  "user-agent",
  "te",
  "strict-transport-security",
  "access-control-allow-origin",
  "access-control-allow-methods",
  "access-control-allow-headers",
  "access-control-allow-credentials",
  "access-control-expose-headers",
  "grpc-encoding",
  "grpc-accept-encoding",
] as const) {
  POLICY[idOf(name)] = AT_ONCE;
}
POLICY[Static.AUTHORITY] = AT_ONCE;

const INDEXED_LITERAL = 0x40;
const PLAIN_LITERAL = 0;
const NEVER_LITERAL = 0x10;

export class HpackEncoder extends PrimitiveWriter {
  readonly #table = new DynamicTable();
  #chain = NONE;
  /** By bucket: the newest entry's number. */
  #heads = NONE;
  /** By bucket: the hash of the value that came last. */
  #seen = NONE;
  /** What the peer's SETTINGS_HEADER_TABLE_SIZE went through since the last block. */
  #smallest: number = H2.headerTableBytes;
  #final: number = H2.headerTableBytes;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE; what is above our own size is not used. */
  setMaximum(bytes: number): void {
    this.#final = Math.min(bytes, H2.headerTableBytes);
    this.#smallest = Math.min(this.#smallest, this.#final);
  }

  /** Called before the first field of a block: says what became of the table's size (RFC 7541 section 4.2). */
  begin(output: Uint8Array, at: number): void {
    this.output = output;
    this.at = at;
    if (this.#smallest < this.#table.maximum) this.#resize(this.#smallest);
    if (this.#final !== this.#table.maximum) this.#resize(this.#final);
    this.#smallest = this.#final;
  }

  #resize(bytes: number): void {
    this.#table.setMaximum(bytes);
    this.integer(0x20, 0x1f, bytes);
  }

  /** An entry of the static table as it is. */
  indexed(index: number): void {
    this.output[this.at++] = 0x80 | index;
  }

  /** Field `i`, which is there. Names are sent in lower case. */
  field(fields: Fields, i: number): void {
    const { arena, ranges } = fields;
    const at = i * 4;
    const id = fields.ids[i]!;
    const flags = fields.flags[i]!;
    const value = ranges[at + 2]!;
    this.#encode(id, flags, arena, ranges[at]!, ranges[at + 1]!, value, ranges[at + 3]!);
  }

  /** A pseudo-header field or one that names.ts knows, and that the static table has. */
  value(id: number, arena: Uint8Array, start: number, end: number): void {
    const name = Static.STATIC_NAMES[id]!;
    const nameStart = Static.STATIC_STARTS[name]!;
    if (POLICY[id] === NEVER) this.#literal(NEVER_LITERAL, 0x0f, name, arena, 0, 0, start, end);
    else if (!this.#known(id, arena, nameStart, nameStart, start, end)) {
      this.#unknown(
        id,
        id,
        name,
        Static.STATIC_ARENA,
        nameStart,
        Static.STATIC_NAME_ENDS[name]!,
        arena,
        start,
        end,
      );
    }
  }

  /** A literal that is not indexed, for numbers: their digits cost less than an entry. */
  digits(id: number, number: number): void {
    this.digitsOf(Static.STATIC_NAMES[id]!, number);
  }

  /** @param name index of the static table. */
  digitsOf(name: number, number: number): void {
    this.integer(PLAIN_LITERAL, 0x0f, name);
    let length = 1;
    for (let rest = number; rest >= 10; rest = Math.floor(rest / 10)) length++;
    this.output[this.at++] = length;
    for (let i = this.at + length - 1, rest = number; i >= this.at; i--) {
      this.output[i] = 0x30 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
    this.at += length;
  }

  /** A pseudo-header field, as `value`. @param text Latin-1. */
  valueText(id: number, text: string): void {
    const bytes = Buffer.from(text, "latin1");
    this.value(id, bytes, 0, bytes.length);
  }

  /** A literal that is not indexed. @param name in lower case. */
  text(name: string, value: string): void {
    this.output[this.at++] = PLAIN_LITERAL;
    const bytes = Buffer.from(name + value, "latin1");
    this.string(bytes, 0, name.length);
    this.string(bytes, name.length, bytes.length);
  }

  #encode(
    id: number,
    flags: number,
    arena: Uint8Array,
    name: number,
    nameEnd: number,
    value: number,
    end: number,
  ): void {
    const bucket =
      id === UNKNOWN ? FIRST_UNKNOWN + (hashName(arena, name, nameEnd) & UNKNOWN_MASK) : id;
    const staticName =
      id === UNKNOWN ? staticNameOf(arena, name, nameEnd) : Static.STATIC_NAMES[id]!;
    if ((flags & NEVER_INDEXED) !== 0 || POLICY[bucket] === NEVER) {
      this.#literal(NEVER_LITERAL, 0x0f, staticName, arena, name, nameEnd, value, end);
    } else if (!this.#known(bucket, arena, name, nameEnd, value, end)) {
      this.#unknown(bucket, id, staticName, arena, name, nameEnd, arena, value, end);
    }
  }

  /** Sends an index if the field is in a table. */
  #known(
    bucket: number,
    arena: Uint8Array,
    name: number,
    nameEnd: number,
    value: number,
    end: number,
  ): boolean {
    const table = this.#table;
    if (table.count === 0) return false;
    let number = this.#heads[bucket]!;
    for (let i = 0; i < CHAIN_MAX; i++) {
      const index = (table.next - number) | 0;
      if (index < 1 || index > table.count) return false;
      const place = number & PLACE_MASK;
      if (this.#same(place, bucket, arena, name, nameEnd, value, end)) {
        const wire = index + Static.STATIC_ENTRIES;
        if (wire < 0x7f) this.output[this.at++] = 0x80 | wire;
        else this.integer(0x80, 0x7f, wire);
        return true;
      }
      number = this.#chain[place]!;
    }
    return false;
  }

  #same(
    place: number,
    bucket: number,
    arena: Uint8Array,
    name: number,
    nameEnd: number,
    value: number,
    end: number,
  ): boolean {
    const { arena: own, nameEnds, ends } = this.#table;
    let at = nameEnds[place]!;
    if (ends[place]! - at !== end - value) return false;
    for (let i = value; i < end; i++) if (own[at++] !== arena[i]) return false;
    if (bucket < FIRST_UNKNOWN || bucket >= Static.PSEUDO) return this.#table.ids[place] === bucket;
    at = this.#table.starts[place]!;
    if (nameEnds[place]! - at !== nameEnd - name) return false;
    for (let i = name; i < nameEnd; i++) if (own[at++] !== lower(arena[i]!)) return false;
    return true;
  }

  /** A literal, and an entry if it is worth one. */
  #unknown(
    bucket: number,
    id: number,
    staticName: number,
    names: Uint8Array,
    name: number,
    nameEnd: number,
    values: Uint8Array,
    value: number,
    end: number,
  ): void {
    // A third of the table for one field would drive out what is worth more.
    const fits = (nameEnd - name + end - value + ENTRY_OVERHEAD) * 3 <= this.#table.maximum;
    if (!fits || !this.#worthy(bucket, values, value, end)) {
      return this.#literal(
        PLAIN_LITERAL,
        0x0f,
        staticName,
        names,
        name,
        nameEnd,
        value,
        end,
        values,
      );
    }
    this.#literal(INDEXED_LITERAL, 0x3f, staticName, names, name, nameEnd, value, end, values);
    this.#insert(bucket, id, names, name, nameEnd, values, value, end);
  }

  #worthy(bucket: number, arena: Uint8Array, value: number, end: number): boolean {
    if (this.#heads.length === 0) {
      this.#heads = new Int32Array(BUCKETS);
      this.#seen = new Int32Array(BUCKETS);
      this.#chain = new Int32Array(PLACE_MASK + 1);
    }
    if (POLICY[bucket] === AT_ONCE) return true;
    const hash = hashValue(arena, value, end);
    const again = this.#seen[bucket] === hash;
    this.#seen[bucket] = hash;
    return again;
  }

  #insert(
    bucket: number,
    id: number,
    names: Uint8Array,
    name: number,
    nameEnd: number,
    values: Uint8Array,
    value: number,
    end: number,
  ): void {
    const number = this.#table.next;
    const scratch = new Uint8Array(nameEnd - name + end - value);
    let to = 0;
    for (let i = name; i < nameEnd; i++) scratch[to++] = lower(names[i]!);
    for (let i = value; i < end; i++) scratch[to++] = values[i]!;
    if (!this.#table.insert(id, scratch, 0, nameEnd - name, nameEnd - name, to)) return;
    this.#chain[number & PLACE_MASK] = this.#heads[bucket]!;
    this.#heads[bucket] = number;
  }

  #literal(
    pattern: number,
    prefix: number,
    staticName: number,
    names: Uint8Array,
    name: number,
    nameEnd: number,
    value: number,
    end: number,
    values = names,
  ): void {
    this.integer(pattern, prefix, staticName);
    if (staticName === 0) this.lowerName(0, 0x7f, names, name, nameEnd);
    this.string(values, value, end);
  }
}

const NONE = new Int32Array(0);
const { staticNameOf } = Static;

function hashName(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ lower(bytes[i]!), 0x01000193);
  return hash ^ (hash >>> 15);
}

function hashValue(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash;
}
