// Frames of HTTP/3 and field sections of QPACK, as peers in tests send them.

import * as C from "../../../../src/protocols/http/h3/constants.ts";
import { QpackEncoder } from "../../../../src/protocols/http/h3/qpack/encoder.ts";
import { writeVarint } from "../../../../src/protocols/http/h3/varint.ts";
import { fieldsOf } from "../../../../src/protocols/http/message/fields.ts";

export function frame(type: number, payload: Uint8Array | string): Uint8Array {
  const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
  const header = new Uint8Array(16);
  const end = writeVarint(bytes.length, header, writeVarint(type, header, 0));
  return Buffer.concat([header.subarray(0, end), bytes]);
}

export function section(entries: readonly (readonly [string, string])[]): Uint8Array {
  const fields = fieldsOf(entries.filter(([name]) => !name.startsWith(":")));
  const encoder = new QpackEncoder();
  encoder.begin(new Uint8Array(1 << 16), 0);
  for (const [name, value] of entries) if (name.startsWith(":")) encoder.literal(name, value);
  for (let i = 0; i < fields.count; i++) encoder.field(fields, i);
  return encoder.output.slice(0, encoder.at);
}

export function settings(...pairs: (readonly [number, number])[]): Uint8Array {
  const bytes = new Uint8Array(256);
  let at = 0;
  for (const [id, value] of pairs) at = writeVarint(value, bytes, writeVarint(id, bytes, at));
  return frame(C.SETTINGS, bytes.subarray(0, at));
}
