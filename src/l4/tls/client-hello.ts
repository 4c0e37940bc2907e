// Reads the ClientHello with which a TLS client begins (RFC 8446 section 4.1.2), for the server name (RFC 6066 section 3)
// and the protocols that it offers (RFC 7301 section 3.1). It peeks: the bytes go on to the target as they are. The caller
// asks again with all bytes whenever more came.
//
//   record: type(1) version(2) length(2) fragment …        the handshake message may be cut into records anywhere
//   handshake message: type(1) length(3) body
//
// Invariant: an answer other than "more" never changes when more bytes follow. Nothing behind the hello is looked at.

import { FIRST_BYTES } from "../../shared/limits.ts";
import { Cursor } from "./cursor.ts";
import { readAlpn, readServerName } from "./extensions.ts";

export interface ClientHello {
  /** In lower case, without a dot at the end; null if the client named none, or an IP address (see extensions.ts). */
  readonly sni: string | null;
  /** In the client's order, byte for byte as Latin-1; without those of RFC 8701, which mean nothing. */
  readonly alpn: readonly string[];
}

export type HelloOutcome =
  | { readonly type: "more" }
  /** The first bytes are not those of a TLS record, which SSL 2 is not either. */
  | { readonly type: "not_tls" }
  /** It begins as TLS and breaks its rules: a server would answer with an alert. */
  | { readonly type: "invalid"; readonly reason: string }
  | { readonly type: "hello"; readonly hello: ClientHello };

const MORE: HelloOutcome = Object.freeze({ type: "more" });
const NOT_TLS: HelloOutcome = Object.freeze({ type: "not_tls" });

const RECORD_HEADER_BYTES = 5;
const RECORD_MAX_BYTES = 1 << 14; // RFC 8446 section 5.1
const TYPE_HANDSHAKE = 22;
/** Of every version from SSL 3.0 to TLS 1.3; the minor one says nothing (RFC 8446 section 5.1). */
const MAJOR_VERSION = 3;

const HANDSHAKE_HEADER_BYTES = 4;
const CLIENT_HELLO = 1;
const RANDOM_BYTES = 32;

const EXTENSION_SERVER_NAME = 0;
const EXTENSION_ALPN = 16;

/** @param bytes what the client has sent so far, from its first byte. */
export function parseClientHello(bytes: Uint8Array): HelloOutcome {
  if (bytes.length > 0 && bytes[0] !== TYPE_HANDSHAKE) return NOT_TLS;
  if (bytes.length > 1 && bytes[1] !== MAJOR_VERSION) return NOT_TLS;
  const message = gather(bytes);
  if (!(message instanceof Cursor)) return message;
  return readHello(message);
}

/** @param bytes what came so far of a handshake message without records around it, as QUIC has it (RFC 9001 section 4). */
export function parseBareHello(bytes: Uint8Array): HelloOutcome {
  if (bytes.length > 0 && bytes[0] !== CLIENT_HELLO)
    return invalid("it does not begin with a hello");
  if (bytes.length < HANDSHAKE_HEADER_BYTES) return MORE;
  const length = HANDSHAKE_HEADER_BYTES + (bytes[1]! << 16) + (bytes[2]! << 8) + bytes[3]!;
  if (length > FIRST_BYTES.clientHelloMaxBytes) return TOO_LONG;
  if (bytes.length < length) return MORE;
  return readHello(new Cursor(bytes, HANDSHAKE_HEADER_BYTES, length));
}

/** Walks over the records until the handshake message is whole. */
function gather(bytes: Uint8Array): Cursor | HelloOutcome {
  const header = new Uint8Array(HANDSHAKE_HEADER_BYTES);
  let gathered = 0;
  let length = Infinity; // of the message, as soon as its header is whole
  for (let at = 0; ;) {
    // A further record has at least one byte.
    if (at + RECORD_HEADER_BYTES >= FIRST_BYTES.clientHelloWireMaxBytes) return TOO_LONG;
    if (bytes.length > at && bytes[at] !== TYPE_HANDSHAKE) return OTHER_RECORD;
    if (bytes.length > at + 1 && bytes[at + 1] !== MAJOR_VERSION) return OTHER_RECORD;
    if (bytes.length < at + RECORD_HEADER_BYTES) return MORE;
    const size = (bytes[at + 3]! << 8) | bytes[at + 4]!;
    if (size === 0) return invalid("it sends an empty record");
    if (size > RECORD_MAX_BYTES) return invalid("its record is longer than TLS allows");
    const start = at + RECORD_HEADER_BYTES;
    at = start + size;
    if (at > FIRST_BYTES.clientHelloWireMaxBytes) return TOO_LONG;
    for (let i = gathered; i < HANDSHAKE_HEADER_BYTES && i - gathered < size; i++) {
      const place = start + i - gathered;
      if (place >= bytes.length) return MORE;
      header[i] = bytes[place]!;
      if (i === 0 && header[0] !== CLIENT_HELLO) return invalid("it does not begin with a hello");
    }
    gathered += size;
    if (gathered >= HANDSHAKE_HEADER_BYTES) {
      length = HANDSHAKE_HEADER_BYTES + (header[1]! << 16) + (header[2]! << 8) + header[3]!;
    }
    if (length !== Infinity && length > FIRST_BYTES.clientHelloMaxBytes) return TOO_LONG;
    // The message before a change of keys ends with its record (RFC 8446 section 5.1).
    if (gathered > length) return invalid("something follows its hello in the same record");
    if (bytes.length < at) return MORE;
    if (gathered === length) return join(bytes, at, length);
  }
}

/** The message's body. Copied only if it is cut. */
function join(bytes: Uint8Array, end: number, length: number): Cursor {
  if (end === RECORD_HEADER_BYTES + length) {
    return new Cursor(bytes, RECORD_HEADER_BYTES + HANDSHAKE_HEADER_BYTES, end);
  }
  const whole = new Uint8Array(length);
  for (let at = 0, filled = 0; at < end;) {
    const start = at + RECORD_HEADER_BYTES;
    at = start + ((bytes[at + 3]! << 8) | bytes[at + 4]!);
    whole.set(bytes.subarray(start, at), filled);
    filled += at - start;
  }
  return new Cursor(whole, HANDSHAKE_HEADER_BYTES, length);
}

function readHello(body: Cursor): HelloOutcome {
  const major = body.uint8();
  body.skip(1);
  body.skip(RANDOM_BYTES);
  body.vector(1, 0, 32); // legacy_session_id
  const suites = body.vector(2, 2, 0xfffe);
  body.vector(1, 1, 0xff); // legacy_compression_methods
  if (body.failed || (suites.end - suites.at) % 2 !== 0) return CONTRADICTION;
  if (major !== MAJOR_VERSION) return invalid("its hello is of no version of TLS");
  // Clients of TLS 1.2 and before may have no extensions (RFC 5246 section 7.4.1.2).
  if (!body.rest) return { type: "hello", hello: { sni: null, alpn: [] } };
  const extensions = body.vector(2, 0, 0xffff);
  if (body.failed || body.rest) return CONTRADICTION;
  return readExtensions(extensions);
}

function readExtensions(extensions: Cursor): HelloOutcome {
  let sni: string | null = null;
  let alpn: readonly string[] = [];
  const seen = new Set<number>();
  while (extensions.rest) {
    const type = extensions.uint16();
    const data = extensions.vector(2, 0, 0xffff);
    if (extensions.failed) return CONTRADICTION;
    // RFC 8446 section 4.2.
    if (seen.has(type)) return invalid("its hello has an extension twice");
    seen.add(type);
    if (type === EXTENSION_SERVER_NAME) {
      const name = readServerName(data);
      if (name === undefined) return invalid("its hello has an invalid server name");
      sni = name;
    } else if (type === EXTENSION_ALPN) {
      const protocols = readAlpn(data);
      if (protocols === undefined) return invalid("its hello has an invalid list of protocols");
      alpn = protocols;
    }
  }
  return { type: "hello", hello: { sni, alpn } };
}

function invalid(reason: string): HelloOutcome {
  return { type: "invalid", reason };
}

const TOO_LONG = invalid("its hello is too long");
const OTHER_RECORD = invalid("it sends another record before its hello is whole");
const CONTRADICTION = invalid("its hello has lengths that contradict each other");
