// TCP segments in IPv4 or IPv6 packets, with their checksums. Pure. Called by conversation.ts.
//
//   IPv4  RFC 791 section 3.1: 20 bytes, no options      TCP  RFC 9293 section 3.1: 20 bytes and options
//   IPv6  RFC 8200 section 3: 40 bytes, no extensions

/** Flags of the TCP header. */
export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;

/** One end of a conversation. */
export interface End {
  /** 4 bytes for IPv4, 16 for IPv6; both ends have the same length. */
  readonly ip: Uint8Array;
  readonly port: number;
}

export interface Segment {
  readonly from: End;
  readonly to: End;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly window: number;
  /** A multiple of 4 bytes. */
  readonly options?: Uint8Array;
  readonly payload?: Uint8Array;
}

const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const TCP_HEADER_BYTES = 20;
const PROTOCOL_TCP = 6;
const HOPS = 64; // the value that systems begin with (RFC 1700); the proxy is no hop
const DO_NOT_FRAGMENT = 0x4000;
const NOTHING = new Uint8Array(0);

export function tcpPacket(segment: Segment): Uint8Array {
  const { from, to, options = NOTHING, payload = NOTHING } = segment;
  const length = TCP_HEADER_BYTES + options.length + payload.length;
  const v4 = from.ip.length === 4;
  const at = v4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  const packet = Buffer.alloc(at + length);
  if (v4) writeIPv4Header(packet, from.ip, to.ip);
  else writeIPv6Header(packet, from.ip, to.ip, length);
  packet.writeUInt16BE(from.port, at);
  packet.writeUInt16BE(to.port, at + 2);
  packet.writeUInt32BE(segment.sequence, at + 4);
  packet.writeUInt32BE(segment.acknowledgment, at + 8);
  packet[at + 12] = ((TCP_HEADER_BYTES + options.length) / 4) << 4; // data offset
  packet[at + 13] = segment.flags;
  packet.writeUInt16BE(segment.window, at + 14);
  packet.set(options, at + TCP_HEADER_BYTES);
  packet.set(payload, at + TCP_HEADER_BYTES + options.length);
  const pseudo = sum(from.ip) + sum(to.ip) + PROTOCOL_TCP + length;
  packet.writeUInt16BE(checksum(packet.subarray(at), pseudo), at + 16);
  return packet;
}

function writeIPv4Header(packet: Buffer, from: Uint8Array, to: Uint8Array): void {
  packet[0] = 0x45; // version 4, a header of 5 words
  packet.writeUInt16BE(packet.length, 2);
  packet.writeUInt16BE(DO_NOT_FRAGMENT, 6);
  packet[8] = HOPS;
  packet[9] = PROTOCOL_TCP;
  packet.set(from, 12);
  packet.set(to, 16);
  packet.writeUInt16BE(checksum(packet.subarray(0, IPV4_HEADER_BYTES)), 10);
}

function writeIPv6Header(packet: Buffer, from: Uint8Array, to: Uint8Array, length: number): void {
  packet[0] = 0x60; // version 6
  packet.writeUInt16BE(length, 4);
  packet[6] = PROTOCOL_TCP; // next header
  packet[7] = HOPS;
  packet.set(from, 8);
  packet.set(to, 24);
}

/**
 * RFC 1071: the complement of the one's complement sum.
 * @param begin of the pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1), whose sum needs no order.
 */
function checksum(bytes: Uint8Array, begin = 0): number {
  let total = begin + sum(bytes);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}

/** Of 16-bit words, an odd byte at the end with a zero after it. A packet's words add up to less than 2^31. */
function sum(bytes: Uint8Array): number {
  const even = bytes.length & ~1;
  let total = 0;
  for (let i = 0; i < even; i += 2) total += (bytes[i]! << 8) | bytes[i + 1]!;
  return even < bytes.length ? total + (bytes[even]! << 8) : total;
}
