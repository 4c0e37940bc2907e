// Integers and strings as HPACK has them (RFC 7541 section 5), and QPACK with other prefixes (RFC 9204 section 4.1): what the
// encoders and decoders of both are made of. Pure.

import { type Fields, REMOVED } from "../../message/fields.ts";
import { lower } from "../../message/names.ts";
import { huffmanBound, huffmanDecode, huffmanEncode, huffmanLength } from "./huffman.ts";

/** The most that a field takes beyond its name and value: prefix and two lengths. */
const FIELD_OVERHEAD = 12;

/** What the fields take at most. */
export function boundOf(fields: Fields): number {
  const { ids, ranges, count } = fields;
  let bytes = 0;
  for (let i = 0; i < count; i++) {
    if (ids[i] === REMOVED) continue;
    const at = i * 4;
    bytes += ranges[at + 1]! - ranges[at]! + ranges[at + 3]! - ranges[at + 2]! + FIELD_OVERHEAD;
  }
  return bytes;
}

export class PrimitiveWriter {
  /** Where the next byte goes. The caller gives an output with room for every field's bytes and FIELD_OVERHEAD. */
  output: Uint8Array = new Uint8Array(0);
  at = 0;

  /** @param pattern the bits above the prefix. @param prefix the greatest value that it holds. */
  protected integer(pattern: number, prefix: number, value: number): void {
    const { output } = this;
    if (value < prefix) {
      output[this.at++] = pattern | value;
      return;
    }
    output[this.at++] = pattern | prefix;
    let rest = value - prefix;
    for (; rest >= 0x80; rest >>>= 7) output[this.at++] = 0x80 | (rest & 0x7f);
    output[this.at++] = rest;
  }

  /** In Huffman's code where that is shorter. */
  protected string(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    const encoded = huffmanLength(bytes, start, end);
    if (encoded < length) {
      this.integer(0x80, 0x7f, encoded);
      this.at = huffmanEncode(bytes, start, end, this.output, this.at);
      return;
    }
    this.integer(0, 0x7f, length);
    const { output } = this;
    for (let i = start, to = this.at; i < end; i++, to++) output[to] = bytes[i]!;
    this.at += length;
  }

  /** Names are short, and sent as literals once in a while only: not worth a Huffman code that folds letters. */
  protected lowerName(
    pattern: number,
    prefix: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.integer(pattern, prefix, end - start);
    for (let i = start; i < end; i++) this.output[this.at++] = lower(bytes[i]!);
  }
}

export class PrimitiveReader {
  protected bytes: Uint8Array = new Uint8Array(0);
  protected at = 0;
  protected end = 0;

  /** An integer with this prefix. @returns -1 if it is not whole or larger than anything here is. */
  protected integer(prefix: number): number {
    const { bytes, end } = this;
    if (this.at >= end) return -1;
    let value = bytes[this.at++]! & prefix;
    if (value < prefix) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.at >= end) return -1;
      const octet = bytes[this.at++]!;
      value += (octet & 0x7f) << shift;
      if (octet < 0x80) return value;
    }
    return -1;
  }

  /** Writes a string behind what is in `into`. @param coded the bit above its length: Huffman. @returns false: broken. */
  protected string(into: Fields, coded: number): boolean {
    if (this.at >= this.end) return false;
    const huffman = (this.bytes[this.at]! & coded) !== 0;
    const length = this.integer(coded - 1);
    const start = this.at;
    if (length < 0 || length > this.end - start) return false;
    this.at = start + length;
    if (!huffman) {
      into.append(this.bytes, start, this.at);
      return true;
    }
    const to = into.reserve(huffmanBound(length));
    const end = huffmanDecode(this.bytes, start, this.at, into.arena, to);
    if (end < 0) return false;
    into.used = end;
    return true;
  }
}
