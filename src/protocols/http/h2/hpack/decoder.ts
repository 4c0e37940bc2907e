// Decodes field blocks (RFC 7541) straight into a field section: what the tables have is copied from arena to arena, and what
// comes as a literal is decoded there and looked at once (octets.ts); an entry of the dynamic table remembers what was found.
//
// Invariant: the dynamic table is what the peer's encoder believes it to be, also after a section that was too large or is
// not valid; only after COMPRESSION_ERROR it is not, and then the connection ends. Pure; called by the session.

import { H2 } from "../../../../shared/limits.ts";
import { type Fields, NEVER_INDEXED } from "../../message/fields.ts";
import { DynamicTable, ENTRY_OVERHEAD } from "./dynamic-table.ts";
import { PrimitiveReader } from "./primitives.ts";
import * as Static from "./static-table.ts";

export const DECODED = 0;
/** More bytes or fields than the limits; the rest was decoded for the table's sake. */
export const TOO_LARGE = 1;
/** A connection error COMPRESSION_ERROR. */
export const BROKEN = 2;
export type Decoded = typeof DECODED | typeof TOO_LARGE | typeof BROKEN;

export class HpackDecoder extends PrimitiveReader {
  readonly table = new DynamicTable();
  readonly #maximumBytes: number;
  readonly #maximumFields: number;
  /** What SETTINGS_HEADER_TABLE_SIZE allows the peer. */
  #allowed: number = H2.headerTableBytes;
  /** The peer must say that its table is smaller before its next field. */
  #mustShrink = false;

  /** Of the section so far, as SETTINGS_MAX_HEADER_LIST_SIZE counts: with ENTRY_OVERHEAD for each field. */
  #size = 0;
  #fields = 0;
  #tooLarge = false;

  /** @param maximumBytes of a section, as SETTINGS_MAX_HEADER_LIST_SIZE counts them. */
  constructor(maximumBytes: number, maximumFields: number) {
    super();
    this.#maximumBytes = maximumBytes;
    this.#maximumFields = maximumFields;
  }

  /** Of the last section, all of it, as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
  get sectionBytes(): number {
    return this.#size;
  }

  /** The peer has acknowledged this SETTINGS_HEADER_TABLE_SIZE. @param bytes at most H2.headerTableBytes. */
  setAllowed(bytes: number): void {
    this.#allowed = bytes;
    this.#mustShrink = this.table.maximum > bytes;
  }

  /**
   * Decodes the whole block [start, end) behind what is in `into`. Fields have their numbers of static-table.ts. Where it is
   * TOO_LARGE, `into` has what came before.
   */
  decode(bytes: Uint8Array, start: number, end: number, into: Fields): Decoded {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.#size = this.#fields = 0;
    this.#tooLarge = false;
    let sizeUpdates = 0;
    while (this.at < end) {
      const first = bytes[this.at]!;
      let valid: boolean;
      if (first >= 0x80) valid = this.#indexed(into);
      else if (first >= 0x40) valid = this.#literal(into, 0x3f, true, 0);
      else if (first >= 0x20)
        valid = this.#fields === 0 && ++sizeUpdates <= 2 && this.#sizeUpdate();
      else valid = this.#literal(into, 0x0f, false, first >= 0x10 ? NEVER_INDEXED : 0);
      if (!valid) return BROKEN;
    }
    return this.#tooLarge ? TOO_LARGE : DECODED;
  }

  /** @returns whether there is room for a field in the section. */
  #admit(nameAndValue: number): boolean {
    this.#fields++;
    this.#size += nameAndValue + ENTRY_OVERHEAD;
    if (this.#size > this.#maximumBytes || this.#fields > this.#maximumFields)
      this.#tooLarge = true;
    return !this.#tooLarge;
  }

  #indexed(into: Fields): boolean {
    const index = this.integer(0x7f);
    if (index <= 0 || this.#mustShrink) return false;
    if (index <= Static.STATIC_ENTRIES) {
      const start = Static.STATIC_STARTS[index]!;
      const nameEnd = Static.STATIC_NAME_ENDS[index]!;
      const end = Static.STATIC_ENDS[index]!;
      if (this.#admit(end - start)) {
        copyField(into, Static.STATIC_IDS[index]!, Static.STATIC_ARENA, start, nameEnd, end);
      }
      return true;
    }
    const { table } = this;
    if (index - Static.STATIC_ENTRIES > table.count) return false;
    const place = table.place(index - Static.STATIC_ENTRIES);
    const start = table.starts[place]!;
    const end = table.ends[place]!;
    if (this.#admit(end - start)) {
      copyField(into, table.ids[place]!, table.arena, start, table.nameEnds[place]!, end);
    }
    return true;
  }

  #literal(into: Fields, prefix: number, index: boolean, flags: number): boolean {
    if (this.#mustShrink) return false;
    const { used, count } = into;
    const id = this.#name(into, prefix);
    if (id < 0) return false;
    const nameEnd = into.used;
    if (!this.string(into, 0x80)) return false;
    const end = into.used;
    const field = Static.classifyValue(id, into.arena, nameEnd, end);
    if (index) this.table.insert(field, into.arena, used, nameEnd, nameEnd, end);
    if (this.#admit(end - used)) {
      into.push(field, used, nameEnd, nameEnd, end);
      into.flags[count] = flags;
    } else into.used = used;
    return true;
  }

  /** Writes the field's name behind what is in `into`. @returns its number; -1 if it is broken. */
  #name(into: Fields, prefix: number): number {
    const index = this.integer(prefix);
    if (index < 0) return -1;
    if (index === 0) {
      const start = into.used;
      if (!this.string(into, 0x80)) return -1;
      return Static.classifyName(into.arena, start, into.used);
    }
    if (index <= Static.STATIC_ENTRIES) {
      into.append(
        Static.STATIC_ARENA,
        Static.STATIC_STARTS[index]!,
        Static.STATIC_NAME_ENDS[index]!,
      );
      return Static.STATIC_IDS[index]!;
    }
    const { table } = this;
    if (index - Static.STATIC_ENTRIES > table.count) return -1;
    const place = table.place(index - Static.STATIC_ENTRIES);
    const start = table.starts[place]!;
    const nameEnd = table.nameEnds[place]!;
    const at = into.append(table.arena, start, nameEnd);
    const id = table.ids[place]!;
    // The entry's value may be what was not valid.
    return id === Static.INVALID ? Static.classifyName(into.arena, at, into.used) : id;
  }

  #sizeUpdate(): boolean {
    const bytes = this.integer(0x1f);
    if (bytes < 0 || bytes > this.#allowed) return false;
    this.table.setMaximum(bytes);
    this.#mustShrink = false;
    return true;
  }
}

/** A field whose name and value stand one behind the other. Of pseudo-header fields the value is all that anybody reads. */
function copyField(
  into: Fields,
  id: number,
  arena: Uint8Array,
  start: number,
  nameEnd: number,
  end: number,
): void {
  const from = id >= Static.PSEUDO && id !== Static.INVALID ? nameEnd : start;
  const at = into.append(arena, from, end);
  const valueAt = at + nameEnd - from;
  into.push(id, at, valueAt, valueAt, into.used);
}
