// A request's host as rules compare it: without its port and without the dot at its end, in any case. Kept as offsets into
// the head, and a number for every name that it is or is below, so that a table of rules is asked without making a string.

import { lower } from "../message/names.ts";

const COLON = 0x3a;
const DOT = 0x2e;
const BRACKET = 0x5b;

/** FNV-1a, taken from the end of a name to its beginning: on the way it is the number of every name above. */
const SEED = 0x811c9dc5;
const PRIME = 0x01000193;

/** @returns the end of the host in an authority: where its port begins, or the dot at its end. */
export function hostEnd(bytes: Uint8Array, start: number, end: number): number {
  let to = start;
  if (bytes[start] === BRACKET) {
    while (to < end && bytes[to] !== 0x5d) to++;
    return to < end ? to + 1 : end;
  }
  while (to < end && bytes[to] !== COLON) to++;
  return to > start && bytes[to - 1] === DOT ? to - 1 : to;
}

/**
 * The number of the name in bytes [start, end), in any case. Asked of `.example.com` it is that of every name below, which
 * `hashesOf` gives for each of them.
 */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = SEED;
  for (let i = end - 1; i >= start; i--) hash = Math.imul(hash ^ lower(bytes[i]!), PRIME);
  return hash;
}

/**
 * Writes the numbers of a name and of all that it is below (`.b.c` and `.c` of `a.b.c`), the whole name's last.
 * @returns how many; no more than `into` holds: of the shortest then, with the whole name's.
 */
export function hashesOf(bytes: Uint8Array, start: number, end: number, into: Int32Array): number {
  let hash = SEED;
  let count = 0;
  for (let i = end - 1; i >= start; i--) {
    const byte = lower(bytes[i]!);
    hash = Math.imul(hash ^ byte, PRIME);
    if (byte === DOT && i > start && count < into.length - 1) into[count++] = hash;
  }
  into[count++] = hash;
  return count;
}

/** Whether bytes [start, end) are this name, in any case. */
export function sameName(
  bytes: Uint8Array,
  start: number,
  end: number,
  lowered: Uint8Array,
): boolean {
  if (end - start !== lowered.length) return false;
  for (let i = 0; i < lowered.length; i++) {
    if (lower(bytes[start + i]!) !== lowered[i]) return false;
  }
  return true;
}
