// Encodes field sections of QPACK (RFC 9204 section 4.5) with the static table alone: what we send never waits for another stream
// at the peer, and a lost packet holds up only the messages that are in it. Pure; called by write-section.ts.

import { PrimitiveWriter } from "../../h2/hpack/primitives.ts";
import { type Fields, NEVER_INDEXED } from "../../message/fields.ts";
import { idOf } from "../../message/names.ts";
import { firstNamed, withValue } from "./static-table.ts";

/** Sent as never indexed, so that no proxy behind keeps them in a table (RFC 9204 section 7.1.3). */
const CREDENTIALS = new Uint8Array(256);
for (const name of ["authorization", "proxy-authorization", "cookie", "set-cookie"] as const) {
  CREDENTIALS[idOf(name)] = 1;
}

const INDEXED = 0xc0; // of the static table
const REFERRED = 0x50;
const REFERRED_NEVER = 0x20;
const LITERAL = 0x20;
const LITERAL_NEVER = 0x10;

export class QpackEncoder extends PrimitiveWriter {
  /** The prefix of a section: Required Insert Count and Base, both 0. */
  begin(output: Uint8Array, at: number): void {
    this.output = output;
    output[at] = output[at + 1] = 0;
    this.at = at + 2;
  }

  /** An entry of the static table as it is. */
  indexed(index: number): void {
    this.integer(INDEXED, 0x3f, index);
  }

  /** Field `i`, which is there. Names are sent in lower case. */
  field(fields: Fields, i: number): void {
    const { arena, ranges } = fields;
    const at = i * 4;
    const id = fields.ids[i]!;
    const never = (fields.flags[i]! & NEVER_INDEXED) !== 0 || CREDENTIALS[id] === 1;
    const nameEnd = ranges[at + 1]!;
    const name = firstNamed(id, arena, ranges[at]!, nameEnd);
    if (name >= 0) return this.#named(name, never, arena, ranges[at + 2]!, ranges[at + 3]!);
    this.lowerName(LITERAL | (never ? LITERAL_NEVER : 0), 0x07, arena, ranges[at]!, nameEnd);
    this.string(arena, ranges[at + 2]!, ranges[at + 3]!);
  }

  /** A value for the name of static entry `name`, the first of those that share it. */
  value(name: number, arena: Uint8Array, start: number, end: number): void {
    this.#named(name, false, arena, start, end);
  }

  /** As `value`. @param text Latin-1. */
  text(name: number, text: string): void {
    const bytes = Buffer.from(text, "latin1");
    this.#named(name, false, bytes, 0, bytes.length);
  }

  /** A name that the static table does not have. @param name in lower case. */
  literal(name: string, value: string): void {
    const bytes = Buffer.from(name + value, "latin1");
    this.lowerName(LITERAL, 0x07, bytes, 0, name.length);
    this.string(bytes, name.length, bytes.length);
  }

  #named(name: number, never: boolean, arena: Uint8Array, start: number, end: number): void {
    const whole = never ? -1 : withValue(name, arena, start, end);
    if (whole >= 0) return this.integer(INDEXED, 0x3f, whole);
    this.integer(REFERRED | (never ? REFERRED_NEVER : 0), 0x0f, name);
    this.string(arena, start, end);
  }
}
