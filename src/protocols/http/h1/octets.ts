// Which octets may stand where in a head of HTTP/1.1 (RFC 9110 section 5.6.2, RFC 9112 sections 3 and 5), as one table of bits:
// every octet of a head is looked up once. And the small questions about ranges of octets that parsers and the writer ask.

/** Of names and methods: tchar. */
export const TOKEN = 1;
/** Of field values: visible, white space, and octets beyond ASCII. */
export const VALUE = 2;
/** Of request targets: visible but for `#`, which begins a fragment, and octets beyond ASCII, which some clients send. */
export const TARGET = 4;
/** Of Host without its port: reg-name and IPv4 (RFC 3986 section 3.2.2). */
export const HOST = 8;
/** Of an address in brackets. */
export const IPV6 = 16;
export const DIGIT = 32;
/** In names: what gateways to CGI and its kin turn into a hyphen, or a hyphen into it. */
export const UNDERSCORE = 64;

export const HT = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;
export const DEL = 0x7f;

export const CLASSES = new Uint8Array(256);
for (let octet = 0; octet < 256; octet++) {
  const text = String.fromCharCode(octet);
  if (/[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(text)) CLASSES[octet]! |= TOKEN;
  if ((octet >= SP && octet !== DEL) || octet === HT) CLASSES[octet]! |= VALUE;
  if (octet > SP && octet !== DEL && text !== "#") CLASSES[octet]! |= TARGET;
  if (/[-._~%!$&'()*+,;=0-9A-Za-z]/.test(text)) CLASSES[octet]! |= HOST;
  if (/[0-9A-Fa-f:.]/.test(text)) CLASSES[octet]! |= IPV6;
  if (/[0-9]/.test(text)) CLASSES[octet]! |= DIGIT;
  if (text === "_") CLASSES[octet]! |= UNDERSCORE;
}

/** Whether every octet of [start, end) is of these classes. */
export function all(bytes: Uint8Array, start: number, end: number, classes: number): boolean {
  for (let i = start; i < end; i++) if ((CLASSES[bytes[i]!]! & classes) === 0) return false;
  return true;
}

/** OWS (RFC 9110 section 5.6.3). */
export function isSpace(octet: number): boolean {
  return octet === SP || octet === HT;
}

/** @param text ASCII in lower case. @returns whether [start, end) is it, in any case. */
export function isText(bytes: Uint8Array, start: number, end: number, text: Uint8Array): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) {
    const octet = bytes[start + i]!;
    const folded = octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet;
    if (folded !== text[i]) return false;
  }
  return true;
}

/** A number of one to fifteen digits, which is exact as a number. @returns -1 for anything else. */
export function decimal(bytes: Uint8Array, start: number, end: number): number {
  if (end === start || end - start > 15) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = bytes[i]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** Host and port, without userinfo (RFC 9110 section 4.2.4): `a.example:80`, `[::1]`, `a:`. Not empty. */
export function isAuthority(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  if (bytes[start] === 0x5b) {
    at++;
    while (at < end && (CLASSES[bytes[at]!]! & IPV6) !== 0) at++;
    if (at >= end || bytes[at] !== 0x5d || at === start + 1) return false;
    at++;
  } else {
    while (at < end && (CLASSES[bytes[at]!]! & HOST) !== 0) at++;
    if (at === start) return false;
  }
  if (at === end) return true;
  return bytes[at] === COLON && end - at <= 6 && all(bytes, at + 1, end, DIGIT);
}

const copyBytes = Buffer.prototype.copy;

/**
 * Copies bytes [start, end) of `from`. The runtime's `copy` takes any typed array, and is twice as fast as `set` with a
 * `subarray`, which makes an object.
 */
export function copyTo(
  to: Uint8Array,
  at: number,
  from: Uint8Array,
  start: number,
  end: number,
): void {
  copyBytes.call(from as Buffer, to, at, start, end);
}

const encoder = new TextEncoder();

export function octetsOf(text: string): Uint8Array {
  return encoder.encode(text);
}
