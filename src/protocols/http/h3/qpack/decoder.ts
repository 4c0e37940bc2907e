// Decodes field sections of QPACK (RFC 9204 section 4.5) straight into a field section. We tell the peer that our dynamic table
// has no room (SETTINGS_QPACK_MAX_TABLE_CAPACITY 0), so a section needs nothing but itself, no stream waits for another, and
// nobody can make us keep what they sent. Fields have the numbers of h2/hpack/static-table.ts. Pure; called by streams.

import { PrimitiveReader } from "../../h2/hpack/primitives.ts";
import { classifyName, classifyValue, INVALID } from "../../h2/hpack/static-table.ts";
import { type Fields, NEVER_INDEXED } from "../../message/fields.ts";
import {
  STATIC_ARENA,
  STATIC_ENDS,
  STATIC_ENTRIES,
  STATIC_IDS,
  STATIC_NAME_ENDS,
  STATIC_STARTS,
} from "./static-table.ts";

export const DECODED = 0;
/** More bytes or fields than the limits. */
export const TOO_LARGE = 1;
/** A connection error QPACK_DECOMPRESSION_FAILED. */
export const BROKEN = 2;
export type Decoded = typeof DECODED | typeof TOO_LARGE | typeof BROKEN;

/** What SETTINGS_MAX_FIELD_SECTION_SIZE counts for each field beside its name and value (RFC 9114 section 4.2.2). */
const FIELD_COUNTS = 32;

export class QpackDecoder extends PrimitiveReader {
  readonly #maximumBytes: number;
  readonly #maximumFields: number;
  #size = 0;
  #count = 0;

  /** @param maximumBytes of a section, as SETTINGS_MAX_FIELD_SECTION_SIZE counts them. */
  constructor(maximumBytes: number, maximumFields: number) {
    super();
    this.#maximumBytes = maximumBytes;
    this.#maximumFields = maximumFields;
  }

  /** Decodes the whole section [start, end) behind what is in `into`. */
  decode(bytes: Uint8Array, start: number, end: number, into: Fields): Decoded {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.#size = this.#count = 0;
    // Required Insert Count and Delta Base: without a dynamic table both are 0, and the sign does not matter.
    if (this.integer(0xff) !== 0 || this.integer(0x7f) !== 0) return BROKEN;
    while (this.at < end) {
      const first = bytes[this.at]!;
      let outcome: Decoded;
      if (first >= 0xc0) outcome = this.#indexed(into);
      else if (first >= 0x80 || first < 0x20)
        return BROKEN; // of the dynamic table
      else if (first >= 0x40) outcome = (first & 0x10) === 0 ? BROKEN : this.#referred(into);
      else outcome = this.#literal(into);
      if (outcome !== DECODED) return outcome;
    }
    return DECODED;
  }

  #admit(nameAndValue: number): boolean {
    this.#size += nameAndValue + FIELD_COUNTS;
    return this.#size <= this.#maximumBytes && ++this.#count <= this.#maximumFields;
  }

  #indexed(into: Fields): Decoded {
    const index = this.integer(0x3f);
    if (index < 0 || index >= STATIC_ENTRIES) return BROKEN;
    const start = STATIC_STARTS[index]!;
    const nameEnd = STATIC_NAME_ENDS[index]!;
    const end = STATIC_ENDS[index]!;
    if (!this.#admit(end - start)) return TOO_LARGE;
    const id = STATIC_IDS[index]!;
    const at = into.append(STATIC_ARENA, start, end);
    const valueAt = at + nameEnd - start;
    into.push(id, at, valueAt, valueAt, into.used);
    return DECODED;
  }

  /** With the name of a static entry. */
  #referred(into: Fields): Decoded {
    const never = (this.bytes[this.at]! & 0x20) !== 0;
    const index = this.integer(0x0f);
    if (index < 0 || index >= STATIC_ENTRIES) return BROKEN;
    const start = into.append(STATIC_ARENA, STATIC_STARTS[index]!, STATIC_NAME_ENDS[index]!);
    return this.#value(into, STATIC_IDS[index]!, start, never);
  }

  #literal(into: Fields): Decoded {
    const never = (this.bytes[this.at]! & 0x10) !== 0;
    const start = into.used;
    if (!this.string(into, 0x08)) return BROKEN;
    return this.#value(into, classifyName(into.arena, start, into.used), start, never);
  }

  #value(into: Fields, id: number, start: number, never: boolean): Decoded {
    const nameEnd = into.used;
    if (!this.string(into, 0x80)) return BROKEN;
    const end = into.used;
    if (!this.#admit(end - start)) return TOO_LARGE;
    const field = id === INVALID ? INVALID : classifyValue(id, into.arena, nameEnd, end);
    into.push(field, start, nameEnd, nameEnd, end);
    if (never) into.flags[into.count - 1] = NEVER_INDEXED;
    return DECODED;
  }
}
