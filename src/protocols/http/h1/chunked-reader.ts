// Reads a chunked body (RFC 9112 section 7.1), split anywhere: hex digits alone as a size, CRLF and nothing else as a line's end.
// Extensions are bounded and dropped. Pure; one for each connection that has had a chunked body.
//
//   while (at < end) {
//     at = chunks.next(bytes, at, end);
//     chunks.found: NOTHING (all was taken) │ DATA: bytes [start, end) │ END: trailers │ BROKEN: refusal
//   }

import { H1 } from "../../../shared/limits.ts";
import type { Fields } from "../message/fields.ts";
import type { HeadLimits } from "./head-reader.ts";
import { CLASSES, CR, LF, VALUE } from "./octets.ts";
import { MORE, REFUSED, type Refused } from "./section-reader.ts";
import { TrailerReader } from "./trailer-reader.ts";

export const NOTHING = 0;
export const DATA = 1;
export const END = 2;
export const BROKEN = 3;

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const CONTENT = 3;
const CONTENT_CR = 4;
const CONTENT_LF = 5;
const TRAILERS = 6;
/** Of a body without trailers. */
const LAST_LF = 7;
const IN_TRAILERS = 8;
const OVER = 9;

const SEMICOLON = 0x3b;
/** 4 PiB: what thirteen digits hold is exact as a number. */
const DIGITS_MAX = 13;

/** Of hex digits; 255 for other octets. */
const HEX = new Uint8Array(256).fill(255);
for (let digit = 0; digit < 16; digit++) {
  const text = digit.toString(16);
  HEX[text.charCodeAt(0)] = HEX[text.toUpperCase().charCodeAt(0)] = digit;
}

export class ChunkedReader {
  found = NOTHING;
  /** Of DATA. */
  start = 0;
  end = 0;
  /** Of END: null if there are none. */
  trailers: Fields | null = null;
  /** Of BROKEN. */
  refusal: Refused | null = null;
  readonly #limits: HeadLimits;
  #state = SIZE;
  /** The size as far as it was read, then what is left of the chunk. */
  #left = 0;
  #digits = 0;
  #lineBytes = 0;
  #extensionBytes = 0;
  #reader: TrailerReader | null = null;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
  }

  /** For the next body. */
  reset(): void {
    this.#state = SIZE;
    this.#left = this.#digits = this.#lineBytes = this.#extensionBytes = 0;
    this.trailers = this.refusal = this.#reader = null;
  }

  /** @returns the position that was come to. */
  next(bytes: Uint8Array, at: number, end: number): number {
    this.found = NOTHING;
    while (at < end) {
      switch (this.#state) {
        case SIZE:
          at = this.#readSize(bytes, at, end);
          break;
        case EXTENSION:
          at = this.#skipExtension(bytes, at, end);
          break;
        case SIZE_LF:
          if (bytes[at] !== LF) return this.#break(at, "a chunk's line ends without LF");
          at++;
          this.#state = this.#left > 0 ? CONTENT : TRAILERS;
          break;
        case CONTENT:
          return this.#takeContent(at, end);
        case CONTENT_CR:
          if (bytes[at] !== CR) return this.#break(at, "a chunk is longer than its size");
          at++;
          this.#state = CONTENT_LF;
          break;
        case CONTENT_LF:
          if (bytes[at] !== LF) return this.#break(at, "a chunk ends without LF");
          at++;
          this.#state = SIZE;
          this.#left = this.#digits = this.#lineBytes = 0;
          break;
        case TRAILERS:
          if (bytes[at] !== CR) {
            this.#state = IN_TRAILERS;
            break;
          }
          at++;
          this.#state = LAST_LF;
          break;
        case LAST_LF:
          if (bytes[at] !== LF) return this.#break(at, "a body's last line ends without LF");
          this.found = END;
          this.#state = OVER;
          return at + 1;
        case IN_TRAILERS:
          return this.#readTrailers(bytes, at, end);
        default:
          return at;
      }
      if (this.found === BROKEN) return at;
    }
    return at;
  }

  #readSize(bytes: Uint8Array, at: number, end: number): number {
    for (; at < end; at++) {
      const octet = bytes[at]!;
      const digit = HEX[octet]!;
      if (digit === 255) {
        if (this.#digits === 0) return this.#break(at, "a chunk has no size");
        if (octet === CR) this.#state = SIZE_LF;
        else if (octet === SEMICOLON) this.#state = EXTENSION;
        else return this.#break(at, "a chunk's size is malformed");
        return at + 1;
      }
      if (++this.#digits > DIGITS_MAX) return this.#break(at, "a chunk's size is too large");
      this.#left = this.#left * 16 + digit;
    }
    return at;
  }

  #skipExtension(bytes: Uint8Array, at: number, end: number): number {
    for (; at < end; at++) {
      const octet = bytes[at]!;
      if (octet === CR) {
        this.#state = SIZE_LF;
        return at + 1;
      }
      if ((CLASSES[octet]! & VALUE) === 0)
        return this.#break(at, "a chunk's extension is malformed");
      this.#extensionBytes++;
      if (
        ++this.#lineBytes > H1.chunkLineMaxBytes ||
        this.#extensionBytes > H1.chunkExtensionsMaxBytes
      ) {
        return this.#break(at, "a body's chunk extensions are too large");
      }
    }
    return at;
  }

  #takeContent(at: number, end: number): number {
    const length = Math.min(this.#left, end - at);
    this.#left -= length;
    if (this.#left === 0) this.#state = CONTENT_CR;
    this.found = DATA;
    this.start = at;
    this.end = at + length;
    return this.end;
  }

  #readTrailers(bytes: Uint8Array, at: number, end: number): number {
    const { headBytes, headFields } = this.#limits;
    const reader = (this.#reader ??= new TrailerReader(headBytes, headFields));
    const next = reader.read(bytes, at, end);
    if (next === MORE) return end;
    if (next === REFUSED) {
      this.refusal = reader.refusal;
      this.found = BROKEN;
      return at;
    }
    this.found = END;
    this.#state = OVER;
    this.trailers = reader.fields.count > 0 ? reader.fields : null;
    return next;
  }

  #break(at: number, message: string): number {
    this.refusal = { status: 400, message };
    this.found = BROKEN;
    return at;
  }
}
