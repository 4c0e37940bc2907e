// Reads a first line and field lines, or field lines alone, out of bytes that are split anywhere (RFC 9112 sections 2 and 5),
// into the arena of Fields: no string and no object for a line. What is ambiguous is refused: bare LF, bare CR, folded lines,
// white space before a colon, control characters.
//
// Invariants:
// 1. A section that comes in one piece is read where it is and copied once. Otherwise its bytes are held in the arena from the
//    first one on; either way positions of ranges are relative to the section's first byte, which is the arena's first.
// 2. A line is parsed at most twice, and looked through for its end once: senders of single bytes cost no more than others.
// 3. No more than `maxBytes` are held.
//
// Pure. Extended by the readers of requests, of answers and of trailers.

import type { Fields } from "../message/fields.ts";
import { findId, UNKNOWN } from "../message/names.ts";
import {
  CLASSES,
  COLON,
  copyTo,
  CR,
  DEL,
  HT,
  isSpace,
  LF,
  SP,
  TOKEN,
  UNDERSCORE,
} from "./octets.ts";

/** Instead of a position: everything was taken, and the end has not come. */
export const MORE = -1;
/** Instead of a position: see `refusal`. */
export const REFUSED = -2;

/** Why a message is not read on. */
export interface Refused {
  /** Of the answer; UNANSWERED: none is sent. */
  readonly status: number;
  /** For logs. */
  readonly message: string;
}

/** A status: the connection is ended without an answer. */
export const UNANSWERED = -1;

const NOT_REFUSED: Refused = { status: 0, message: "" };

export abstract class SectionReader {
  refusal: Refused = NOT_REFUSED;
  readonly fields: Fields;
  readonly #maxBytes: number;
  readonly #maxFields: number;
  /** Bytes of the section that the arena has. */
  #held = 0;
  /** Where the line under way begins, relative to the section. */
  #line = 0;
  readonly #hasFirst: boolean;
  #first: boolean;
  #lines = 0;

  /** @param hasFirst whether a line that is no field comes first. */
  constructor(fields: Fields, maxBytes: number, maxFields: number, hasFirst: boolean) {
    this.fields = fields;
    this.#maxBytes = maxBytes;
    this.#maxFields = maxFields;
    this.#hasFirst = this.#first = hasFirst;
  }

  /** For the next section. */
  reset(): void {
    this.#held = this.#line = this.#lines = 0;
    this.#first = this.#hasFirst;
    this.fields.clear();
  }

  /** Bytes of a section whose end has not come. */
  get held(): number {
    return this.#held;
  }

  /** @returns the position behind the section; MORE; REFUSED, after which only `reset` may be called. */
  read(bytes: Uint8Array, start: number, end: number): number {
    if (this.#held > 0) return this.#readOn(bytes, start, end);
    const limit = Math.min(end, start + this.#maxBytes);
    const at = this.#parse(bytes, start, limit, start);
    const length = (at < 0 ? limit : at) - start;
    const { fields } = this;
    fields.used = 0;
    fields.reserve(length);
    copyTo(fields.arena, 0, bytes, start, start + length);
    if (at === REFUSED) return REFUSED; // what came of it is there for the log
    if (at === MORE && length >= this.#maxBytes) return this.#tooLarge();
    if (at !== MORE) return this.#finish(length) ? at : REFUSED;
    this.#held = length;
    return MORE;
  }

  #readOn(bytes: Uint8Array, start: number, end: number): number {
    const { fields } = this;
    const held = this.#held;
    const taken = Math.min(end - start, this.#maxBytes - held);
    fields.used = held;
    fields.append(bytes, start, start + taken);
    this.#held += taken;
    const { arena } = fields;
    const lineEnd = arena.indexOf(LF, held);
    const isWhole = lineEnd >= 0 && lineEnd < this.#held;
    const at = isWhole ? this.#parse(arena, this.#line, this.#held, 0) : MORE;
    if (at === REFUSED) return REFUSED;
    if (at !== MORE) {
      fields.used = at;
      return this.#finish(at) ? start + at - held : REFUSED;
    }
    return this.#held >= this.#maxBytes ? this.#tooLarge() : MORE;
  }

  #finish(length: number): boolean {
    this.fields.checked = length;
    return this.finish();
  }

  #tooLarge(): number {
    return this.refuse(431, "the head is too large");
  }

  /** @param origin where the section begins in `bytes`. */
  #parse(bytes: Uint8Array, at: number, end: number, origin: number): number {
    if (this.#first) {
      const next = this.firstLine(bytes, at, end, origin);
      if (next < 0) return next;
      at = next;
      this.#first = false;
    }
    return this.#parseFields(bytes, at, end, origin);
  }

  #parseFields(bytes: Uint8Array, at: number, end: number, origin: number): number {
    for (;;) {
      this.#line = at - origin;
      let p = at;
      let classes = 0;
      for (; p < end; p++) {
        const of = CLASSES[bytes[p]!]!;
        if ((of & TOKEN) === 0) break;
        classes |= of;
      }
      if (p === end) return MORE;
      if (p === at) return this.#endOfSection(bytes, at, end);
      if (bytes[p] !== COLON) return this.refuse(400, "a field name is malformed");
      const nameEnd = p++;
      while (p < end && isSpace(bytes[p]!)) p++;
      const valueStart = p;
      for (; p < end; p++) {
        const octet = bytes[p]!;
        if ((octet < SP && octet !== HT) || octet === DEL) break;
      }
      if (p === end) return MORE;
      if (bytes[p] !== CR) return this.refuse(400, "a field value is malformed");
      if (p + 1 === end) return MORE;
      if (bytes[p + 1] !== LF) return this.refuse(400, "a field value has a CR in it");
      if (++this.#lines > this.#maxFields) return this.refuse(431, "the head has too many fields");
      let valueEnd = p;
      while (valueEnd > valueStart && isSpace(bytes[valueEnd - 1]!)) valueEnd--;
      const id = this.#idOf(bytes, at, nameEnd, classes);
      if (id > 0 && id <= this.lastOwn) {
        if (!this.ownField(id, bytes, at, nameEnd, valueStart, valueEnd, origin)) return REFUSED;
      } else if (id >= 0) {
        this.fields.push(id, at - origin, nameEnd - origin, valueStart - origin, valueEnd - origin);
      }
      at = p + 2;
    }
  }

  /** -1: a name that is one of ours to those who take `_` for `-`, as CGI does; such a field is dropped, as nginx does. */
  #idOf(bytes: Uint8Array, start: number, end: number, classes: number): number {
    const id = findId(bytes, start, end);
    if (id !== UNKNOWN || (classes & UNDERSCORE) === 0) return id;
    const name = new Uint8Array(bytes.subarray(start, end)); // `slice` of a Buffer is no copy
    for (let i = 0; i < name.length; i++) if (name[i] === 0x5f) name[i] = 0x2d;
    return findId(name, 0, name.length) === UNKNOWN ? UNKNOWN : -1;
  }

  #endOfSection(bytes: Uint8Array, at: number, end: number): number {
    const octet = bytes[at]!;
    if (isSpace(octet)) return this.refuse(400, "a field line is folded");
    if (octet === LF) return this.refuse(400, "a line ends without CR");
    if (octet !== CR) return this.refuse(400, "a field name is malformed");
    if (at + 1 === end) return MORE;
    return bytes[at + 1] === LF ? at + 2 : this.refuse(400, "a CR is not followed by LF");
  }

  /** The largest number of names (names.ts) that `ownField` is called for; the rest is pushed. */
  protected abstract readonly lastOwn: number;

  /** @returns the position behind the line; MORE; REFUSED. May be called again for the same line. */
  protected abstract firstLine(bytes: Uint8Array, at: number, end: number, origin: number): number;

  /** A field that is not simply kept. @returns false if it is refused. */
  protected abstract ownField(
    id: number,
    bytes: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    origin: number,
  ): boolean;

  /** The section is in the arena. @returns false if it is refused. */
  protected abstract finish(): boolean;

  protected refuse(status: number, message: string): number {
    this.refusal = { status, message };
    return REFUSED;
  }
}
