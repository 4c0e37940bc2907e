// Fields that are the same for many requests, as one run of bytes: made once for each route and connection, and put into a
// head by one copy and a few offsets. Whoever makes a block sees to it that no value has CR, LF or NUL.

import { all, TOKEN, VALUE } from "../h1/octets.ts";
import { CLEAN, type Fields } from "../message/fields.ts";
import { findId } from "../message/names.ts";

const BETWEEN = latin1(": ");
const BEHIND = latin1("\r\n");

export interface BlockField {
  /** In lower case. */
  readonly name: string;
  readonly value: Uint8Array;
}

export class FieldBlock {
  /** Lines of HTTP/1.1, so that its writer has but to copy them. */
  readonly #bytes: Uint8Array;
  readonly #ids: Uint8Array;
  readonly #flags: Uint8Array;
  /** Quadruples, as Fields.ranges. */
  readonly #ranges: Int32Array;

  constructor(fields: readonly BlockField[]) {
    const parts: Uint8Array[] = [];
    const ranges: number[] = [];
    const flags: number[] = [];
    let at = 0;
    for (const { name, value } of fields) {
      const nameBytes = latin1(name);
      const valueAt = at + nameBytes.length + BETWEEN.length;
      ranges.push(at, at + nameBytes.length, valueAt, valueAt + value.length);
      parts.push(nameBytes, BETWEEN, value, BEHIND);
      const isName = name !== "" && all(nameBytes, 0, nameBytes.length, TOKEN);
      flags.push(isName && all(value, 0, value.length, VALUE) ? CLEAN : 0);
      at = valueAt + value.length + BEHIND.length;
    }
    this.#bytes = new Uint8Array(Buffer.concat(parts));
    this.#ids = Uint8Array.from(fields, ({ name }) => findId(latin1(name), 0, name.length));
    this.#flags = Uint8Array.from(flags);
    this.#ranges = Int32Array.from(ranges);
  }

  /** Adds them behind what is there. @returns where the value of the last one begins. */
  appendTo(fields: Fields): number {
    const own = this.#ids;
    const { length } = own;
    if (length === 0) return fields.used;
    const at = fields.reserve(this.#bytes.length);
    fields.arena.set(this.#bytes, at);
    const first = fields.extend(length);
    const { ids, flags, ranges } = fields;
    const ownFlags = this.#flags;
    for (let i = 0; i < length; i++) {
      ids[first + i] = own[i]!;
      flags[first + i] = ownFlags[i]!;
    }
    const ownRanges = this.#ranges;
    const to = first * 4;
    for (let i = 0; i < length * 4; i++) ranges[to + i] = at + ownRanges[i]!;
    return at + ownRanges[length * 4 - 2]!;
  }
}

export function latin1(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}
