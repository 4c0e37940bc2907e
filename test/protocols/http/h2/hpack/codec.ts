// HPACK in tests: fields as texts, blocks as bytes.

import type { Decoded, HpackDecoder } from "../../../../../src/protocols/http/h2/hpack/decoder.ts";
import type { HpackEncoder } from "../../../../../src/protocols/http/h2/hpack/encoder.ts";
import * as Static from "../../../../../src/protocols/http/h2/hpack/static-table.ts";
import { Fields, NEVER_INDEXED } from "../../../../../src/protocols/http/message/fields.ts";
import { findId } from "../../../../../src/protocols/http/message/names.ts";

export type Entry = readonly [name: string, value: string, never?: boolean];

const PSEUDO: Record<number, string> = {
  [Static.METHOD]: ":method",
  [Static.SCHEME]: ":scheme",
  [Static.PATH]: ":path",
  [Static.AUTHORITY]: ":authority",
  [Static.STATUS]: ":status",
  [Static.PROTOCOL]: ":protocol",
};

/** As they were decoded, pseudo-header fields too. */
export function entriesOf(fields: Fields): Entry[] {
  const all: Entry[] = [];
  for (let i = 0; i < fields.count; i++) {
    const id = fields.ids[i]!;
    const name = PSEUDO[id] ?? fields.text(fields.ranges[i * 4]!, fields.ranges[i * 4 + 1]!);
    const never = (fields.flags[i]! & NEVER_INDEXED) !== 0;
    all.push(never ? [name, fields.value(i), true] : [name, fields.value(i)]);
  }
  return all;
}

export function decode(
  decoder: HpackDecoder,
  block: Uint8Array,
): { outcome: Decoded; entries: Entry[] } {
  const fields = new Fields();
  const outcome = decoder.decode(block, 0, block.length, fields);
  return { outcome, entries: entriesOf(fields) };
}

/** Larger than any section of a test. */
const output = new Uint8Array(1 << 18);

export function encode(encoder: HpackEncoder, entries: readonly Entry[]): Uint8Array {
  encoder.begin(output, 0);
  for (const [name, value, never] of entries) {
    const id = Object.keys(PSEUDO).find((each) => PSEUDO[Number(each)] === name);
    if (id !== undefined) {
      if (name === ":protocol") encoder.text(name, value);
      else encoder.valueText(Number(id), value);
      continue;
    }
    const fields = new Fields();
    const nameBytes = Buffer.from(name, "latin1");
    fields.addBytes(nameBytes, Buffer.from(value, "latin1"));
    fields.ids[0] = findId(nameBytes, 0, nameBytes.length);
    if (never) fields.flags[0] = NEVER_INDEXED;
    encoder.field(fields, 0);
  }
  return output.slice(0, encoder.at);
}

export const hex = (value: string): Uint8Array =>
  new Uint8Array(Buffer.from(value.replace(/\s/g, ""), "hex"));
