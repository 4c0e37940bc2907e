// Bytes of log lines, written one behind the other into memory that is used again. What comes from peers is written by one of
// the two functions that quote: no byte of it can end a line or a string, or steer the terminal of whoever reads the log.
//
// Texts are Latin-1, one character for each byte that came in. What is UTF-8 stays UTF-8; a byte that is not becomes the text
// `\xE9`, so that it can still be told what it was.

const HEX = new TextEncoder().encode("0123456789abcdef");
const BACKSLASH = 0x5c;
const QUOTE = 0x22;

/** What the longest way to write a byte takes: `\\xE9`, or `\u001f`. */
const QUOTED_MAX = 6;

export class LineBuffer {
  bytes: Uint8Array;
  used = 0;
  readonly #textMax: number;

  /** @param textMax of a text that comes from a peer no more characters than this are written. */
  constructor(size: number, textMax: number) {
    this.bytes = new Uint8Array(size);
    this.#textMax = textMax;
  }

  /** Makes room for so many bytes. */
  #reserve(more: number): void {
    const needed = this.used + more;
    if (needed <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    larger.set(this.bytes.subarray(0, this.used));
    this.bytes = larger;
  }

  /** Visible ASCII of our own. */
  plain(text: string): void {
    this.#reserve(text.length);
    const { bytes, used } = this;
    for (let i = 0; i < text.length; i++) bytes[used + i] = text.charCodeAt(i);
    this.used = used + text.length;
  }

  /** Bytes of our own. */
  raw(source: Uint8Array): void {
    this.#reserve(source.length);
    const { bytes, used } = this;
    for (let i = 0; i < source.length; i++) bytes[used + i] = source[i]!;
    this.used = used + source.length;
  }

  /** A whole number from 0 on. */
  integer(value: number): void {
    if (value >= 0x7fff_ffff) return this.plain(String(value));
    this.#reserve(10);
    let digits = 1;
    for (let bound = 10; value >= bound; bound *= 10) digits++;
    let left = value | 0;
    for (let at = this.used + digits - 1; at >= this.used; at--) {
      const tenth = (left / 10) | 0;
      this.bytes[at] = 0x30 + left - tenth * 10;
      left = tenth;
    }
    this.used += digits;
  }

  /** With three digits behind the point. */
  thousandths(value: number): void {
    const whole = Math.round(Math.max(0, value) * 1_000);
    this.integer(Math.floor(whole / 1_000));
    this.plain(".");
    const rest = whole % 1_000;
    if (rest < 100) this.plain(rest < 10 ? "00" : "0");
    this.integer(rest);
  }

  /** The inside of a string of JSON (RFC 8259 section 7). */
  json(text: string): void {
    const length = Math.min(text.length, this.#textMax);
    this.#reserve(length * QUOTED_MAX);
    const { bytes } = this;
    let to = this.used;
    for (let i = 0; i < length; i++) {
      const byte = text.charCodeAt(i);
      if (byte >= 0x20 && byte < 0x7f) {
        if (byte === QUOTE || byte === BACKSLASH) bytes[to++] = BACKSLASH;
        bytes[to++] = byte;
      } else if (byte < 0x80) to = writeUnicode(bytes, to, byte);
      else {
        const sequence = sequenceAt(text, i, length);
        if (sequence === 0) {
          bytes[to++] = BACKSLASH;
          to = writeHex(bytes, to, byte);
        } else if (sequence === 2 && byte === 0xc2 && text.charCodeAt(i + 1) < 0xa0) {
          to = writeUnicode(bytes, to, text.charCodeAt(++i)); // C1 control characters
        } else {
          for (let j = 0; j < sequence; j++) bytes[to++] = text.charCodeAt(i + j);
          i += sequence - 1;
        }
      }
    }
    this.used = to;
  }

  /** The inside of a quoted field of Apache's formats: visible ASCII, `\"`, `\\`, and `\xhh` for all else. */
  apache(text: string): void {
    const length = Math.min(text.length, this.#textMax);
    this.#reserve(length * QUOTED_MAX);
    const { bytes } = this;
    let to = this.used;
    for (let i = 0; i < length; i++) {
      const byte = text.charCodeAt(i);
      if (byte >= 0x20 && byte < 0x7f) {
        if (byte === QUOTE || byte === BACKSLASH) bytes[to++] = BACKSLASH;
        bytes[to++] = byte;
      } else to = writeHex(bytes, to, byte);
    }
    this.used = to;
  }
}

/** `\xe9` */
function writeHex(bytes: Uint8Array, to: number, byte: number): number {
  bytes[to++] = BACKSLASH;
  bytes[to++] = 0x78;
  bytes[to++] = HEX[(byte >> 4) & 15]!;
  bytes[to++] = HEX[byte & 15]!;
  return to;
}

/** `\u001b` */
function writeUnicode(bytes: Uint8Array, to: number, byte: number): number {
  bytes[to++] = BACKSLASH;
  bytes[to++] = 0x75;
  bytes[to++] = 0x30;
  bytes[to++] = 0x30;
  bytes[to++] = HEX[byte >> 4]!;
  bytes[to++] = HEX[byte & 15]!;
  return to;
}

/**
 * How many bytes the UTF-8 sequence at `i` has; 0 if there is no whole and valid one. Those of characters that no text of one
 * line holds (U+2028, U+2029), and of those that turn its direction (U+202A to U+202E, U+2066 to U+2069), count as invalid.
 */
function sequenceAt(text: string, i: number, end: number): number {
  const first = text.charCodeAt(i);
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || i + length > end) return 0;
  for (let j = 1; j < length; j++) if ((text.charCodeAt(i + j) & 0xc0) !== 0x80) return 0;
  const second = text.charCodeAt(i + 1);
  if (second > 0xbf) return 0;
  if (first === 0xe0 && second < 0xa0) return 0; // overlong
  if (first === 0xed && second > 0x9f) return 0; // surrogates
  if (first === 0xf0 && second < 0x90) return 0; // overlong
  if (first === 0xf4 && second > 0x8f) return 0; // beyond U+10FFFF
  if (first === 0xe2 && (second === 0x80 || second === 0x81)) {
    const third = text.charCodeAt(i + 2);
    const steers =
      second === 0x80 ? third >= 0xa8 && third <= 0xae : third >= 0xa6 && third <= 0xa9;
    if (steers) return 0;
  }
  return length;
}
