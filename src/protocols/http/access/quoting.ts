// What peers have sent, as the inside of a quoted text in a log: no byte of it can end the text or the line, or steer the
// terminal of whoever reads the log. Texts are Latin-1, one character for each byte, and so is what is returned; what is not is
// taken as UTF-8. Pure.
//
// In JSON what is UTF-8 stays UTF-8, and a byte that is not becomes the text `\xE9`, so that it can still be told what it was.

import { ACCESS_LOG } from "../../../shared/limits.ts";

/** Visible ASCII and spaces, without quotes and backslashes: most of what is ever sent. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The inside of a string of JSON (RFC 8259 section 7). What is too long is cut off. */
export function jsonText(text: string): string {
  if (text.length <= ACCESS_LOG.textMax && PLAIN.test(text)) return text;
  const cut = octets(text).slice(0, ACCESS_LOG.textMax);
  let quoted = "";
  for (let i = 0; i < cut.length; i++) {
    const byte = cut.charCodeAt(i);
    if (byte >= 0x20 && byte < 0x7f) quoted += escaped(byte);
    else if (byte < 0x80) quoted += `\\u00${hex(byte)}`;
    else {
      const length = sequenceAt(cut, i);
      const isControl = length === 2 && byte === 0xc2 && cut.charCodeAt(i + 1) < 0xa0; // C1
      if (length === 0) quoted += `\\\\x${hex(byte)}`;
      else if (isControl) quoted += `\\u00${hex(cut.charCodeAt(i + 1))}`;
      else quoted += cut.slice(i, i + length);
      i += Math.max(0, length - 1);
    }
  }
  return quoted;
}

/** The inside of a quoted field of Apache's formats: visible ASCII, `\"`, `\\`, and `\xhh` for all else. */
export function apacheText(text: string): string {
  if (text.length <= ACCESS_LOG.textMax && PLAIN.test(text)) return text;
  const cut = octets(text).slice(0, ACCESS_LOG.textMax);
  let quoted = "";
  for (let i = 0; i < cut.length; i++) {
    const byte = cut.charCodeAt(i);
    quoted += byte >= 0x20 && byte < 0x7f ? escaped(byte) : `\\x${hex(byte)}`;
  }
  return quoted;
}

/** Texts of this machine (an error's, a name's) may have other characters; they become bytes too. */
function octets(text: string): string {
  return /^[\0-\xff]*$/.test(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

function escaped(byte: number): string {
  const character = String.fromCharCode(byte);
  return byte === QUOTE || byte === BACKSLASH ? `\\${character}` : character;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/**
 * How many bytes the UTF-8 sequence at `i` has; 0 if there is no whole and valid one. Those of characters that no text of one
 * line holds (U+2028, U+2029), and of those that turn its direction (U+202A to U+202E, U+2066 to U+2069), count as invalid.
 */
function sequenceAt(text: string, i: number): number {
  const first = text.charCodeAt(i);
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || i + length > text.length) return 0;
  for (let j = 1; j < length; j++) if ((text.charCodeAt(i + j) & 0xc0) !== 0x80) return 0;
  const second = text.charCodeAt(i + 1);
  if (first === 0xe0 && second < 0xa0) return 0; // overlong
  if (first === 0xed && second > 0x9f) return 0; // surrogates
  if (first === 0xf0 && second < 0x90) return 0; // overlong
  if (first === 0xf4 && second > 0x8f) return 0; // beyond U+10FFFF
  if (first !== 0xe2) return length;
  const third = text.charCodeAt(i + 2);
  const steers =
    (second === 0x80 && third >= 0xa8 && third <= 0xae) ||
    (second === 0x81 && third >= 0xa6 && third <= 0xa9);
  return steers ? 0 : length;
}
