// ClientHellos for tests, laid out by hand, and cut into records wherever a test wants.

import { randomBytes } from "node:crypto";

const uint16 = (value: number): number[] => [value >>> 8, value & 0xff];
const uint24 = (value: number): number[] => [value >>> 16, ...uint16(value & 0xffff)];

export function vector16(bytes: readonly number[]): number[] {
  return [...uint16(bytes.length), ...bytes];
}

export function ascii(text: string): number[] {
  return [...Buffer.from(text, "latin1")];
}

export type Extension = readonly [type: number, data: readonly number[]];

/** server_name with names as they are. */
export function sni(...names: readonly string[]): Extension {
  return [0, vector16(names.flatMap((name) => [0, ...vector16(ascii(name))]))];
}

export function alpn(...names: readonly string[]): Extension {
  return [16, vector16(names.flatMap((name) => [name.length, ...ascii(name)]))];
}

/** key_share of X25519MLKEM768, as browsers send it: 1,216 bytes. */
export const POST_QUANTUM: Extension = [
  51,
  vector16([...uint16(0x11ec), ...vector16([...randomBytes(1216)])]),
];

/** A handshake message of type ClientHello. `extensions` null: the hello of a client that knows none. */
export function message(extensions: readonly Extension[] | null): number[] {
  const list = (extensions ?? []).flatMap(([type, data]) => [...uint16(type), ...vector16(data)]);
  return wrap([
    3,
    3,
    ...randomBytes(32), // legacy_version and random
    32,
    ...randomBytes(32), // legacy_session_id
    ...vector16([0x13, 0x01, 0x13, 0x02]), // cipher_suites
    1,
    0, // legacy_compression_methods
    ...(extensions === null ? [] : vector16(list)),
  ]);
}

/** @param body of a ClientHello. */
export function wrap(body: readonly number[]): number[] {
  return [1, ...uint24(body.length), ...body];
}

export function record(fragment: readonly number[], type = 22, version = 0x0301): number[] {
  return [type, ...uint16(version), ...vector16(fragment)];
}

/** One record. */
export function hello(extensions: readonly Extension[] | null): Uint8Array {
  return Uint8Array.from(record(message(extensions)));
}

/** The handshake message of a hello that is one record, cut into records of these lengths; the last takes the rest. */
export function recut(whole: Uint8Array, lengths: readonly number[]): Uint8Array {
  const text = [...whole.subarray(5)];
  const bytes: number[] = [];
  for (const length of lengths) {
    if (text.length > length) bytes.push(...record(text.splice(0, length)));
  }
  return Uint8Array.from([...bytes, ...record(text)]);
}
