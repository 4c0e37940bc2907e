// The request line (RFC 9112 section 3): the method as one of the strings that are there, the version, and which form the target
// has. Pure; called by request-reader.ts.

import { all, isAuthority, isText, octetsOf, TARGET } from "./octets.ts";

const METHODS = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];
const KNOWN = METHODS.map((text) => ({ text, bytes: octetsOf(text) }));

/** @returns the method in [start, end), which are token characters. Methods are case-sensitive (RFC 9110 section 9.1). */
export function methodOf(bytes: Uint8Array, start: number, end: number): string {
  for (let i = 0; i < KNOWN.length; i++) {
    const { text, bytes: known } = KNOWN[i]!;
    if (known.length !== end - start || known[0] !== bytes[start]) continue;
    let at = 1;
    while (at < known.length && known[at] === bytes[start + at]) at++;
    if (at === known.length) return text;
  }
  return Buffer.from(bytes.subarray(start, end)).toString("latin1");
}

const VERSION = octetsOf("HTTP/1.1\r\n");
const MAJOR = 5;
const MINOR = 7;

export const BAD_VERSION = -2;
/** Well-formed, and none of ours. */
export const OTHER_VERSION = -3;

/** What follows the target, with the line's end. @returns 10, 11; -1: it is not all there; BAD_VERSION; OTHER_VERSION. */
export function versionOf(bytes: Uint8Array, at: number, end: number): number {
  const available = Math.min(VERSION.length, end - at);
  for (let i = 0; i < available; i++) {
    const octet = bytes[at + i]!;
    const isDigit = (i === MAJOR || i === MINOR) && octet >= 0x30 && octet <= 0x39;
    if (!isDigit && octet !== VERSION[i]) return BAD_VERSION;
  }
  if (available < VERSION.length) return -1;
  if (bytes[at + MAJOR] !== 0x31) return OTHER_VERSION;
  const minor = bytes[at + MINOR]! - 0x30;
  return minor <= 1 ? 10 + minor : OTHER_VERSION;
}

/**
 * Whether a protocol's name and version may stand from `at` on. Where none does, as behind a broken preface of HTTP/2, nobody
 * would read an answer of HTTP/1.1. @returns -1: the line is not all there, 0 or 1.
 */
export function namesProtocol(bytes: Uint8Array, at: number, end: number): number {
  for (; at < end; at++) {
    if (bytes[at] === SLASH) return 1;
    if (bytes[at] === CR || bytes[at] === LF) return 0;
  }
  return -1;
}

export const ORIGIN_FORM = 0;
export const ABSOLUTE_FORM = 1;
export const AUTHORITY_FORM = 2;
export const ASTERISK_FORM = 3;
export const BAD_TARGET = -1;

const SLASH = 0x2f;
const CR = 0x0d;
const LF = 0x0a;
const ASTERISK = 0x2a;
const QUESTION = 0x3f;

/** Which form a target has with this method (RFC 9112 section 3.2). */
export function formOf(method: string, bytes: Uint8Array, start: number, end: number): number {
  if (method === "CONNECT") return isHostAndPort(bytes, start, end) ? AUTHORITY_FORM : BAD_TARGET;
  if (bytes[start] === SLASH) return ORIGIN_FORM;
  if (bytes[start] === ASTERISK && end === start + 1) {
    return method === "OPTIONS" ? ASTERISK_FORM : BAD_TARGET;
  }
  const authority = authorityStart(bytes, start, end);
  if (authority < 0) return BAD_TARGET;
  const authorityStop = authorityEnd(bytes, authority, end);
  if (!isAuthority(bytes, authority, authorityStop)) return BAD_TARGET;
  return all(bytes, authorityStop, end, TARGET) ? ABSOLUTE_FORM : BAD_TARGET;
}

/** RFC 9112 section 3.2.3: the port is not optional. */
function isHostAndPort(bytes: Uint8Array, start: number, end: number): boolean {
  const last = bytes[end - 1]!;
  const hasDigit = last >= 0x30 && last <= 0x39;
  if (!hasDigit || !isAuthority(bytes, start, end)) return false;
  let at = end - 1;
  while (at > start && bytes[at]! >= 0x30 && bytes[at]! <= 0x39) at--;
  return bytes[at] === 0x3a;
}

const SCHEMES = [octetsOf("http://"), octetsOf("https://")];

/** @returns where the authority of an absolute-form begins; -1 for a scheme that is not ours. */
export function authorityStart(bytes: Uint8Array, start: number, end: number): number {
  for (const scheme of SCHEMES) {
    const stop = start + scheme.length;
    if (stop <= end && isText(bytes, start, stop, scheme)) return stop;
  }
  return -1;
}

export function authorityEnd(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && bytes[at] !== SLASH && bytes[at] !== QUESTION) at++;
  return at;
}
