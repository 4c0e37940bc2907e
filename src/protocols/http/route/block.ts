// Fields that are the same for many requests, as one run of bytes: made once for each route and connection, and put into a
// head by one copy and a few offsets. Whoever makes a block sees to it that no value has CR, LF or NUL.

import type { Fields } from "../message/fields.ts";
import { findId } from "../message/names.ts";

export interface BlockField {
  /** In lower case. */
  readonly name: string;
  readonly value: Uint8Array;
}

export class FieldBlock {
  readonly #bytes: Uint8Array;
  readonly #ids: Uint8Array;
  /** Quadruples, as Fields.ranges. */
  readonly #ranges: Int32Array;

  constructor(fields: readonly BlockField[]) {
    const parts: Uint8Array[] = [];
    const ranges: number[] = [];
    let at = 0;
    for (const { name, value } of fields) {
      const nameBytes = latin1(name);
      const valueAt = at + nameBytes.length;
      ranges.push(at, valueAt, valueAt, valueAt + value.length);
      parts.push(nameBytes, value);
      at = valueAt + value.length;
    }
    this.#bytes = new Uint8Array(Buffer.concat(parts));
    this.#ids = Uint8Array.from(fields, ({ name }) => findId(latin1(name), 0, name.length));
    this.#ranges = Int32Array.from(ranges);
  }

  /** Adds them behind what is there. @returns where the value of the last one begins. */
  appendTo(fields: Fields): number {
    const ids = this.#ids;
    if (ids.length === 0) return fields.used;
    const ranges = this.#ranges;
    const at = fields.reserve(this.#bytes.length);
    fields.arena.set(this.#bytes, at);
    for (let i = 0, r = 0; i < ids.length; i++, r += 4) {
      fields.push(
        ids[i]!,
        at + ranges[r]!,
        at + ranges[r + 1]!,
        at + ranges[r + 2]!,
        at + ranges[r + 3]!,
      );
    }
    return at + ranges[ranges.length - 2]!;
  }
}

export function latin1(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}
