// The parts of QUIC packets that can be read without keys (RFC 8999, RFC 9000 section 17), and the packets that are written
// without a connection. Pure: chance is a parameter.
//
//   long   1 form(1) 1 type(2) …(4)  version(32)  dcid length(8) dcid  scid length(8) scid  …
//   short  1 form(0) …               dcid (as long as we made it)                          …

/** RFC 9000 section 14.1: a client pads its first datagram, so that three times as much is room for an answer. */
export const INITIAL_MIN_BYTES = 1_200;
/** Of the connection ids that we give to peers. Longer ones would not leave quiche room for all transport parameters. */
export const CID_BYTES = 8;
/** RFC 9000 section 7.2: of the id that a client makes up for us. */
export const CLIENT_CID_MIN_BYTES = 8;
/** RFC 9000 section 17.2. */
const CID_MAX_BYTES = 20;
export const VERSION_1 = 0x00000001;
/** Reserved, so that clients keep to ignoring what they do not know (RFC 9000 section 6.3). */
const VERSION_GREASE = 0x1a2a3a4a;

/** 16 bytes of token behind at least 5 that look like a packet (RFC 9000 section 10.3). */
export const RESET_MIN_BYTES = 21;
/** As long as a packet of a connection that has nothing to say. */
const RESET_MAX_BYTES = 43;
export const RESET_TOKEN_BYTES = 16;

export const TYPE_INITIAL = 0;

export interface LongHeader {
  /** Of version 1: TYPE_INITIAL, 0-RTT, Handshake, Retry. */
  readonly type: number;
  readonly version: number;
  readonly dcid: Uint8Array;
  readonly scid: Uint8Array;
  /** Of an Initial of version 1; otherwise empty. */
  readonly token: Uint8Array;
  /** Where Length stands in an Initial of version 1. */
  readonly lengthAt: number;
}

export function isLong(datagram: Uint8Array): boolean {
  return (datagram[0]! & 0x80) !== 0;
}

const NOTHING = new Uint8Array(0);

/** @returns null: it is none. Its parts are views of the datagram. */
export function parseLongHeader(datagram: Uint8Array): LongHeader | null {
  if (datagram.length < 7 || !isLong(datagram)) return null;
  const version =
    ((datagram[1]! << 24) | (datagram[2]! << 16) | (datagram[3]! << 8) | datagram[4]!) >>> 0;
  const dcidEnd = 6 + datagram[5]!;
  if (dcidEnd >= datagram.length) return null;
  const scidEnd = dcidEnd + 1 + datagram[dcidEnd]!;
  if (scidEnd > datagram.length) return null;
  const dcid = datagram.subarray(6, dcidEnd);
  const scid = datagram.subarray(dcidEnd + 1, scidEnd);
  const header = { type: (datagram[0]! >> 4) & 3, version, dcid, scid };
  if (version !== VERSION_1) return { ...header, token: NOTHING, lengthAt: -1 };
  if (dcid.length > CID_MAX_BYTES || scid.length > CID_MAX_BYTES) return null;
  if (header.type !== TYPE_INITIAL) return { ...header, token: NOTHING, lengthAt: -1 };
  const token = readVarint(datagram, scidEnd);
  if (token === null || token.end + token.value > datagram.length) return null;
  const lengthAt = token.end + token.value;
  return { ...header, token: datagram.subarray(token.end, lengthAt), lengthAt };
}

/** RFC 9000 section 16. @returns null: it goes beyond the bytes, or beyond what a number holds exactly. */
export function readVarint(bytes: Uint8Array, at: number): { value: number; end: number } | null {
  if (at >= bytes.length) return null;
  const length = 1 << (bytes[at]! >> 6);
  if (at + length > bytes.length) return null;
  let value = bytes[at]! & 0x3f;
  for (let i = 1; i < length; i++) value = value * 256 + bytes[at + i]!;
  return Number.isSafeInteger(value) ? { value, end: at + length } : null;
}

/** What answers a version that we do not speak (RFC 9000 section 17.2.1). @param chance any byte. */
export function writeVersionNegotiation(
  { dcid, scid }: Pick<LongHeader, "dcid" | "scid">,
  chance: number,
): Uint8Array {
  const packet = new Uint8Array(7 + dcid.length + scid.length + 8);
  packet[0] = 0xc0 | chance;
  packet[5] = scid.length;
  packet.set(scid, 6);
  packet[6 + scid.length] = dcid.length;
  packet.set(dcid, 7 + scid.length);
  const view = new DataView(packet.buffer, 7 + dcid.length + scid.length);
  view.setUint32(0, VERSION_GREASE);
  view.setUint32(4, VERSION_1);
  return packet;
}

/**
 * What answers a packet of a connection that we do not know (RFC 9000 section 10.3), always shorter than it.
 * @param chance at least RESET_MAX_BYTES of it, which are overwritten. @returns null: what came is too short to be answered.
 */
export function writeStatelessReset(
  receivedBytes: number,
  token: Uint8Array,
  chance: Uint8Array,
): Uint8Array | null {
  const length = Math.min(receivedBytes - 1, RESET_MAX_BYTES);
  if (length < RESET_MIN_BYTES) return null;
  const packet = chance.subarray(0, length);
  packet[0] = 0x40 | (packet[0]! & 0x3f);
  packet.set(token, length - RESET_TOKEN_BYTES);
  return packet;
}
