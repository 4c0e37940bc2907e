// Blocks of a pcapng file (draft-ietf-opsawg-pcapng), in little-endian order. Pure: values in, bytes out. Called by
// pcapng-trace.ts.
//
//   block   type(4) total length(4) body, padded to 4 bytes  total length(4)        section 3.1
//   option  code(2) length(2) value, padded to 4 bytes                              section 3.5
//
// A file is a Section Header Block, an Interface Description Block, and then one Enhanced Packet Block for each packet.

/** Packets begin with their IPv4 or IPv6 header (https://www.tcpdump.org/linktypes.html). */
export const LINKTYPE_RAW = 101;

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const ENHANCED_PACKET = 6;

const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

const OPT_ENDOFOPT = 0;
const OPT_COMMENT = 1;
const SHB_USERAPPL = 4;
const IF_NAME = 2;
const IF_DESCRIPTION = 3;
const IF_TSRESOL = 9;
const EPB_FLAGS = 2;

/** if_tsresol: time stamps count units of 10^-9 seconds. */
const NANOSECONDS = 9;
/** Of an option, whose length has 16 bits; cut well before, since nobody reads as much in a comment. */
const TEXT_MAX_BYTES = 4_096;

type Option = readonly [code: number, value: Uint8Array];

/** Section 4.1. @param application what wrote the file, with its version. */
export function sectionHeader(application: string): Uint8Array {
  const fixed = Buffer.alloc(16);
  fixed.writeUInt32LE(BYTE_ORDER_MAGIC, 0);
  fixed.writeUInt16LE(1, 4); // version 1.0
  fixed.writeBigInt64LE(-1n, 8); // the section's length is not known ahead
  return block(SECTION_HEADER, [fixed, options([[SHB_USERAPPL, text(application)]])]);
}

/** Section 4.2. */
export function interfaceDescription(about: {
  readonly name: string;
  readonly description: string;
  readonly comment: string;
}): Uint8Array {
  const fixed = Buffer.alloc(8);
  fixed.writeUInt16LE(LINKTYPE_RAW, 0);
  fixed.writeUInt32LE(0, 4); // SnapLen: no packet is cut
  const list = options([
    [OPT_COMMENT, text(about.comment)],
    [IF_NAME, text(about.name)],
    [IF_DESCRIPTION, text(about.description)],
    [IF_TSRESOL, Uint8Array.of(NANOSECONDS)],
  ]);
  return block(INTERFACE_DESCRIPTION, [fixed, list]);
}

export interface EnhancedPacket {
  /** Nanoseconds since 1970-01-01 UTC. */
  readonly time: bigint;
  readonly packet: Uint8Array;
  /** As the proxy sees it. */
  readonly direction: "inbound" | "outbound";
  readonly comment?: string | undefined;
}

/** Section 4.3; of interface 0. */
export function enhancedPacket({ time, packet, direction, comment }: EnhancedPacket): Uint8Array {
  const fixed = Buffer.alloc(20);
  fixed.writeUInt32LE(0, 0); // interface
  fixed.writeUInt32LE(Number(time >> 32n), 4);
  fixed.writeUInt32LE(Number(time & 0xffff_ffffn), 8);
  fixed.writeUInt32LE(packet.length, 12); // captured
  fixed.writeUInt32LE(packet.length, 16); // original
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(direction === "inbound" ? 0b01 : 0b10); // section 4.3.1
  const list: Option[] = [[EPB_FLAGS, flags]];
  if (comment !== undefined) list.unshift([OPT_COMMENT, text(comment)]);
  return block(ENHANCED_PACKET, [fixed, packet, options(list)]);
}

/** @param parts of the body; each is padded to 4 bytes. */
function block(type: number, parts: readonly Uint8Array[]): Uint8Array {
  const body = parts.reduce((sum, part) => sum + padded(part.length), 0);
  const bytes = Buffer.alloc(12 + body);
  bytes.writeUInt32LE(type, 0);
  bytes.writeUInt32LE(bytes.length, 4);
  let at = 8;
  for (const part of parts) {
    bytes.set(part, at);
    at += padded(part.length);
  }
  bytes.writeUInt32LE(bytes.length, at);
  return bytes;
}

function options(list: readonly Option[]): Uint8Array {
  const size = list.reduce((sum, [, value]) => sum + 4 + padded(value.length), 4);
  const bytes = Buffer.alloc(size);
  let at = 0;
  for (const [code, value] of list) {
    bytes.writeUInt16LE(code, at);
    bytes.writeUInt16LE(value.length, at + 2);
    bytes.set(value, at + 4);
    at += 4 + padded(value.length);
  }
  bytes.writeUInt16LE(OPT_ENDOFOPT, at);
  return bytes;
}

/** UTF-8 without a part of a letter at its end. */
function text(value: string): Uint8Array {
  const bytes = new Uint8Array(TEXT_MAX_BYTES);
  return bytes.subarray(0, new TextEncoder().encodeInto(value, bytes).written);
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
