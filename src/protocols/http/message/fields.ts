// A field section: the fields of a head, or trailers, as bytes in one arena with columns of offsets beside it. No object and no
// string for a field: a head is parsed, looked through, changed and written out again as bytes, whatever version it came in by.
//
//   arena   │ h o s t a . e x a m p l e a c c e p t * / * ...          (names in the case they came in)
//   ranges  │ nameStart nameEnd valueStart valueEnd │ ... one quadruple for each field
//   ids     │ number of the name (names.ts), REMOVED for a field that is not there any more
//
// Names have at least one byte; values have no CR, LF or NUL and no white space around them: whoever adds a field sees to that.

import { findId, idOfText, type KnownName, lower, nameOf, UNKNOWN } from "./names.ts";

/** In `ids`: skip this one. */
export const REMOVED = 255;

/** In `flags`: came as a never-indexed literal, and must leave so (RFC 7541 section 6.2.3). */
export const NEVER_INDEXED = 1;

/** In `flags`: has nothing in it that would end a line of HTTP/1.1, as below `checked`. */
export const CLEAN = 2;

const FIRST_BYTES = 1_024;
const FIRST_FIELDS = 24;
const encoder = new TextEncoder();

/** A view of the bytes as a Buffer, only to ask it for text, would cost twice as much as the text. */
const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
};

export class Fields {
  /** Names and values. Other things of a head may stand in it too (heads.ts). */
  arena: Uint8Array = new Uint8Array(FIRST_BYTES);
  /** Bytes of the arena in use. */
  used = 0;
  /**
   * Below this, names and values were looked at byte by byte by whoever parsed them: they have nothing in them that would end a
   * line of HTTP/1.1, so its writer need not look again.
   */
  checked = 0;
  /** Fields, the removed ones included: the bound of loops. */
  count = 0;
  ranges = new Int32Array(FIRST_FIELDS * 4);
  ids = new Uint8Array(FIRST_FIELDS);
  flags = new Uint8Array(FIRST_FIELDS);

  /** Empty again; what was grown stays. */
  clear(): void {
    this.used = 0;
    this.count = 0;
    this.checked = 0;
  }

  /** Copies bytes [start, end) behind what is there. @returns where they begin in the arena. */
  append(bytes: Uint8Array, start: number, end: number): number {
    const at = this.reserve(end - start);
    const { arena } = this;
    // A loop beats `set(subarray())`, which makes an object, for what names and values mostly are.
    if (end - start > 64) arena.set(bytes.subarray(start, end), at);
    else for (let i = start, to = at; i < end; i++, to++) arena[to] = bytes[i]!;
    return at;
  }

  /** @param text Latin-1. */
  appendText(text: string): number {
    const at = this.reserve(text.length);
    for (let i = 0; i < text.length; i++) this.arena[at + i] = text.charCodeAt(i);
    return at;
  }

  /** @returns where `bytes` more may be written; `used` is behind them. */
  reserve(bytes: number): number {
    const at = this.used;
    this.used = at + bytes;
    if (this.used > this.arena.length) this.#growArena();
    return at;
  }

  #growArena(): void {
    let length = this.arena.length * 2;
    while (length < this.used) length *= 2;
    const larger = new Uint8Array(length);
    larger.set(this.arena);
    this.arena = larger;
  }

  /** A field whose name and value stand in the arena already. */
  push(id: number, nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): void {
    const i = this.count++;
    if (i === this.ids.length) this.#growColumns();
    const at = i * 4;
    this.ranges[at] = nameStart;
    this.ranges[at + 1] = nameEnd;
    this.ranges[at + 2] = valueStart;
    this.ranges[at + 3] = valueEnd;
    this.ids[i] = id;
    this.flags[i] = 0;
  }

  /** Makes room for so many fields in the columns, which the caller fills in. @returns the first of them. */
  extend(count: number): number {
    const first = this.count;
    this.count = first + count;
    while (this.count > this.ids.length) this.#growColumns();
    return first;
  }

  #growColumns(): void {
    const capacity = this.ids.length * 2;
    const { ranges, ids, flags } = this;
    (this.ranges = new Int32Array(capacity * 4)).set(ranges);
    (this.ids = new Uint8Array(capacity)).set(ids);
    (this.flags = new Uint8Array(capacity)).set(flags);
  }

  /** @param name in lower case. @param value Latin-1. */
  add(name: string, value: string): void {
    const nameStart = this.appendText(name);
    const valueStart = this.appendText(value);
    this.push(idOfText(name), nameStart, valueStart, valueStart, this.used);
  }

  /** A name and a value from elsewhere, as bytes. */
  addBytes(name: Uint8Array, value: Uint8Array): void {
    const nameStart = this.append(name, 0, name.length);
    const valueStart = this.append(value, 0, value.length);
    this.push(findId(name, 0, name.length), nameStart, valueStart, valueStart, this.used);
  }

  /** Field `i` of another section. */
  addFrom(other: Fields, i: number): void {
    const at = i * 4;
    const { ranges } = other;
    const nameStart = this.append(other.arena, ranges[at]!, ranges[at + 1]!);
    const valueStart = this.append(other.arena, ranges[at + 2]!, ranges[at + 3]!);
    const id = other.ids[i]!;
    this.push(id, nameStart, valueStart, valueStart, this.used);
    this.flags[this.count - 1] = other.flags[i]!;
  }

  remove(i: number): void {
    this.ids[i] = REMOVED;
  }

  /** @returns how many there were. */
  removeAll(id: number): number {
    let removed = 0;
    for (let i = 0; i < this.count; i++) {
      if (this.ids[i] !== id) continue;
      this.ids[i] = REMOVED;
      removed++;
    }
    return removed;
  }

  /** Of a name that names.ts may not know, in lower case. */
  removeNamed(name: string): void {
    for (let i = this.findNamed(name); i >= 0; i = this.findNamed(name, i + 1)) this.remove(i);
  }

  /** @returns the first field with this number from `from` on; -1 if there is none. */
  find(id: number, from = 0): number {
    const { ids, count } = this;
    // A loop that begins at a parameter with a default is ten times slower, unless the compiler is told that it is an integer.
    for (let i = from | 0; i < count; i++) if (ids[i] === id) return i;
    return -1;
  }

  /** @returns the last field with this number; -1 if there is none. */
  findLast(id: number): number {
    let i = this.count - 1;
    while (i >= 0 && this.ids[i] !== id) i--;
    return i;
  }

  /** @param name in lower case, known or not. */
  findNamed(name: string, from = 0): number {
    const id = idOfText(name);
    if (id !== UNKNOWN) return this.find(id, from);
    for (let i = from | 0; i < this.count; i++) {
      if (this.ids[i] === UNKNOWN && this.#nameIs(i, name)) return i;
    }
    return -1;
  }

  #nameIs(i: number, name: string): boolean {
    const start = this.ranges[i * 4]!;
    if (this.ranges[i * 4 + 1]! - start !== name.length) return false;
    for (let j = 0; j < name.length; j++) {
      if (lower(this.arena[start + j]!) !== name.charCodeAt(j)) return false;
    }
    return true;
  }

  /** In lower case. */
  name(i: number): string {
    const id = this.ids[i]!;
    if (id !== UNKNOWN && id !== REMOVED) return nameOf(id);
    return this.text(this.ranges[i * 4]!, this.ranges[i * 4 + 1]!).toLowerCase();
  }

  /** Latin-1. */
  value(i: number): string {
    return this.text(this.ranges[i * 4 + 2]!, this.ranges[i * 4 + 3]!);
  }

  /** Compares field `i`'s value, byte for byte. */
  valueIs(i: number, value: Uint8Array): boolean {
    const start = this.ranges[i * 4 + 2]!;
    if (this.ranges[i * 4 + 3]! - start !== value.length) return false;
    for (let j = 0; j < value.length; j++) if (this.arena[start + j] !== value[j]) return false;
    return true;
  }

  /** The first value of this name; null if there is none. */
  get(name: KnownName): string | null {
    const i = this.find(idOfText(name));
    return i < 0 ? null : this.value(i);
  }

  /** Bytes [start, end) of the arena as Latin-1. */
  text(start: number, end: number): string {
    return latin1Slice.call(this.arena, start, end);
  }

  /** For tests and logs: what is there, in order. */
  entries(): [name: string, value: string][] {
    const all: [string, string][] = [];
    for (let i = 0; i < this.count; i++) {
      if (this.ids[i] !== REMOVED) all.push([this.name(i), this.value(i)]);
    }
    return all;
  }

  /** Replaces what is there by a copy of the other's. */
  copy(other: Fields): void {
    this.clear();
    for (let i = 0; i < other.count; i++) if (other.ids[i] !== REMOVED) this.addFrom(other, i);
  }
}

/** For tests and for what is made once. */
export function fieldsOf(entries: Iterable<readonly [name: string, value: string]>): Fields {
  const fields = new Fields();
  for (const [name, value] of entries) {
    fields.addBytes(encoder.encode(name.toLowerCase()), Buffer.from(value, "latin1"));
  }
  return fields;
}
