// Which octets may stand where in field sections (RFC 9113 sections 8.2.1 and 8.3.1): tables, since every octet that a peer
// sends is looked at once. They are stricter than the RFC where HTTP/1.1 would read something else: names are tokens, values
// have no control characters. What passes here can be written as HTTP/1.1 and is read there as the same.

const TOKEN = 1;
const UPPER = 2;
const VALUE = 4;
const TARGET = 8;

const CLASSES = new Uint8Array(256);
for (let octet = 0; octet < 256; octet++) {
  const text = String.fromCharCode(octet);
  if (/[!#$%&'*+\-.^_`|~0-9a-z]/.test(text)) CLASSES[octet]! |= TOKEN;
  if (/[A-Z]/.test(text)) CLASSES[octet]! |= UPPER;
  if ((octet >= 0x20 && octet !== 0x7f) || octet === 0x09) CLASSES[octet]! |= VALUE;
  if (octet > 0x20 && octet !== 0x7f && text !== "#") CLASSES[octet]! |= TARGET;
}

function all(bytes: Uint8Array, start: number, end: number, classes: number): boolean {
  for (let i = start; i < end; i++) if ((CLASSES[bytes[i]!]! & classes) === 0) return false;
  return true;
}

/** A token in lower case. */
export function isValidName(bytes: Uint8Array, start: number, end: number): boolean {
  return end > start && all(bytes, start, end, TOKEN);
}

/** Also a value of a pseudo-header field; what else these must be is found out later. */
export function isValidValue(bytes: Uint8Array, start: number, end: number): boolean {
  if (start === end) return true;
  return !isSpace(bytes[start]!) && !isSpace(bytes[end - 1]!) && all(bytes, start, end, VALUE);
}

function isSpace(octet: number): boolean {
  return octet === 0x20 || octet === 0x09;
}

/** A token, as methods and protocols are (RFC 9110 section 9.1). */
export function isToken(bytes: Uint8Array, start: number, end: number): boolean {
  return end > start && all(bytes, start, end, TOKEN | UPPER);
}

/** No white space, no control characters, no fragment. */
export function isTarget(bytes: Uint8Array, start: number, end: number): boolean {
  return all(bytes, start, end, TARGET);
}
