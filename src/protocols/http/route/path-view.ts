// A request's path as rules compare it: without its query, percent-encoding undone, `//` as `/`, and without dot segments
// (RFC 3986 section 6.2.2), so that no rule is passed by with another way to write the same path. The path itself is
// forwarded as it came. A path that is in this form already, as most are, is not copied. Pure; used by the table of routes and by
// whatever rewrites paths.
//
// Readings of one path, since those who read it after us differ:
//
//   MATCH    %2F and %25 stay as they are (in upper case), all else is decoded: what nginx, Envoy and Caddy route by
//   LOOSE    %2F and `\` are separators too, and `;...` is cut off each segment: what Java's servers and Windows make of it
//   FORWARD  only what RFC 3986 calls unreserved is decoded, which no one reads in another way: what may be sent on
//
// Refused, since no two programs agree on it: a NUL or another control character in any form but `%` and two digits, `%00`,
// `%` without two digits after it, `#`, and `..` above the root.

export type Reading = "match" | "loose" | "forward";

const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const PERCENT = 0x25;
const DOT = 0x2e;
const QUESTION = 0x3f;
const SEMICOLON = 0x3b;
const HASH = 0x23;

/** What a byte of a path needs: nothing, a look at its neighbours, decoding, or a refusal. */
const ORDINARY = 0;
const SEPARATOR = 1;
/** `%`, `\`, `;`: the path is read byte by byte, and may mean different things to different programs. */
const SPECIAL = 2;
const FORBIDDEN = 3;

const CLASSES = new Uint8Array(256);
CLASSES.fill(FORBIDDEN, 0, 0x21);
CLASSES[0x7f] = FORBIDDEN;
CLASSES[HASH] = FORBIDDEN;
CLASSES[SLASH] = SEPARATOR;
for (const byte of [PERCENT, BACKSLASH, SEMICOLON]) CLASSES[byte] = SPECIAL;

const HEX = new Int8Array(256).fill(-1);
for (let i = 0; i < 16; i++) {
  HEX[i.toString(16).charCodeAt(0)] = i;
  HEX[i.toString(16).toUpperCase().charCodeAt(0)] = i;
}

function bytesWhere(decoded: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (decoded(byte) ? 1 : 0));
}

/** By reading: 1 for a byte whose `%XX` is undone. */
const DECODED: Record<Reading, Uint8Array> = {
  match: bytesWhere((byte) => byte !== SLASH && byte !== PERCENT),
  loose: bytesWhere(() => true),
  forward: bytesWhere((byte) => /[A-Za-z0-9._~-]/.test(String.fromCharCode(byte))),
};

export class PathView {
  /** Bytes [start, end) of this are the path in its reading; they may be the arena that was read. */
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  /** In what was read: where the path ends and its query begins. */
  queryStart = 0;
  /** It is what came, byte for byte. */
  asItCame = true;
  /** Other programs may read it in another way: to be read as LOOSE too. */
  ambiguous = false;
  #own = new Uint8Array(1_024);

  /**
   * Reads bytes [start, end), a path with its query. A request that has none (`*`, or nothing at all) is read as it is.
   * @returns false if it must be refused (400).
   */
  read(arena: Uint8Array, start: number, end: number, reading: Reading): boolean {
    this.bytes = arena;
    this.start = start;
    this.asItCame = true;
    this.ambiguous = false;
    if (end === start || (end === start + 1 && arena[start] === 0x2a)) {
      this.end = this.queryStart = end;
      return true;
    }
    if (arena[start] !== SLASH) return false;
    let i = start;
    for (; i < end; i++) {
      const byte = arena[i]!;
      const kind = CLASSES[byte]!;
      if (kind === ORDINARY) {
        if (byte === QUESTION) break;
      } else if (kind === SEPARATOR) {
        const next = arena[i + 1];
        if (i + 1 < end && (next === SLASH || next === DOT)) this.asItCame = false;
      } else if (kind === FORBIDDEN) return false;
      else this.ambiguous = true;
    }
    this.end = this.queryStart = i;
    if (this.asItCame && !this.ambiguous) return true;
    return this.#normalize(arena, start, i, reading);
  }

  #normalize(arena: Uint8Array, start: number, end: number, reading: Reading): boolean {
    if (this.#own.length < end - start) this.#own = new Uint8Array((end - start) * 2);
    const out = this.#own;
    const decoded = DECODED[reading];
    const loose = reading === "loose";
    out[0] = SLASH;
    /** Where the segment that is being written begins, and how much is written. */
    let segment = 1;
    let to = 1;
    let parameters = false;
    for (let i = start + 1; i < end; i++) {
      let byte = arena[i]!;
      if (byte === PERCENT) {
        byte = i + 2 < end ? (HEX[arena[i + 1]!]! << 4) | HEX[arena[i + 2]!]! : -1;
        if (byte <= 0) return false;
        i += 2;
        if (decoded[byte] === 0) {
          if (parameters) continue;
          out[to++] = PERCENT;
          out[to++] = UPPER[byte >> 4]!;
          out[to++] = UPPER[byte & 15]!;
          continue;
        }
      }
      if (byte === SLASH || (loose && byte === BACKSLASH)) {
        to = closeSegment(out, segment, to);
        if (to < 0) return false;
        if (out[to - 1] !== SLASH) out[to++] = SLASH;
        segment = to;
        parameters = false;
      } else if (loose && byte === SEMICOLON) parameters = true;
      else if (!parameters) out[to++] = byte;
    }
    to = closeSegment(out, segment, to);
    if (to < 0) return false;
    this.asItCame = to === end - start && equal(out, arena, start, to);
    this.bytes = out;
    this.start = 0;
    this.end = to;
    return true;
  }
}

const UPPER = new TextEncoder().encode("0123456789ABCDEF");

/** Takes out a dot segment that ends at `to`. @returns how much is left; -1 for `..` above the root. */
function closeSegment(out: Uint8Array, segment: number, to: number): number {
  const length = to - segment;
  if (length === 0 || length > 2 || out[segment] !== DOT) return to;
  if (length === 1) return segment;
  if (out[segment + 1] !== DOT) return to;
  if (segment === 1) return -1;
  return out.lastIndexOf(SLASH, segment - 2) + 1;
}

function equal(a: Uint8Array, b: Uint8Array, start: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[i] !== b[start + i]) return false;
  return true;
}
