// Reads pcapng files back, strictly, and written from the specifications alone: blocks and options of draft-ietf-opsawg-pcapng,
// packets of RFC 791, RFC 8200 and RFC 9293. Whatever does not fit is an error.

export interface Block {
  readonly type: number;
  readonly body: Buffer;
}

export interface Packet {
  readonly time: bigint;
  readonly flags: number;
  readonly comments: string[];
  readonly from: string;
  readonly to: string;
  readonly tcp: string[];
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly payload: Buffer;
  readonly bytes: number;
}

export interface PcapngFile {
  readonly application: string;
  readonly name: string;
  readonly description: string;
  readonly linkType: number;
  readonly resolution: number;
  readonly packets: Packet[];
}

export function readBlocks(bytes: Uint8Array): Block[] {
  const file = Buffer.from(bytes);
  const blocks: Block[] = [];
  for (let at = 0; at < file.length;) {
    const length = file.readUInt32LE(at + 4);
    if (length % 4 !== 0 || length < 12) throw new Error(`a block of ${length} bytes at ${at}`);
    if (file.readUInt32LE(at + length - 4) !== length) throw new Error(`lengths differ at ${at}`);
    blocks.push({ type: file.readUInt32LE(at), body: file.subarray(at + 8, at + length - 4) });
    at += length;
  }
  return blocks;
}

export function readOptions(bytes: Buffer): Map<number, Buffer[]> {
  const options = new Map<number, Buffer[]>();
  let at = 0;
  while (bytes.readUInt16LE(at) !== 0) {
    const length = bytes.readUInt16LE(at + 2);
    const value = bytes.subarray(at + 4, at + 4 + length);
    const code = bytes.readUInt16LE(at);
    options.set(code, [...(options.get(code) ?? []), value]);
    at += 4 + Math.ceil(length / 4) * 4;
  }
  if (at + 4 !== bytes.length) throw new Error("bytes after opt_endofopt");
  return options;
}

export function readPcapng(bytes: Uint8Array): PcapngFile {
  const [section, description, ...rest] = readBlocks(bytes);
  if (section?.type !== 0x0a0d0d0a || section.body.readUInt32LE(0) !== 0x1a2b3c4d) {
    throw new Error("no Section Header Block");
  }
  if (description?.type !== 1) throw new Error("no Interface Description Block");
  const about = readOptions(description.body.subarray(8));
  return {
    application: String(readOptions(section.body.subarray(16)).get(4)),
    name: String(about.get(2)),
    description: String(about.get(3)),
    linkType: description.body.readUInt16LE(0),
    resolution: about.get(9)![0]![0]!,
    packets: rest.map(readPacketBlock),
  };
}

function readPacketBlock({ type, body }: Block): Packet {
  if (type !== 6) throw new Error(`a block of type ${type}`);
  const length = body.readUInt32LE(12);
  if (body.readUInt32LE(0) !== 0 || body.readUInt32LE(16) !== length) throw new Error("cut packet");
  const options = readOptions(body.subarray(20 + Math.ceil(length / 4) * 4));
  return {
    time: (BigInt(body.readUInt32LE(4)) << 32n) | BigInt(body.readUInt32LE(8)),
    flags: options.get(2)![0]!.readUInt32LE(0),
    comments: (options.get(1) ?? []).map(String),
    ...readPacket(body.subarray(20, 20 + length)),
  };
}

/** RFC 1071: with its checksum in place, a correct range adds up to ones. */
function addsUp(...ranges: Uint8Array[]): boolean {
  const bytes = Buffer.concat(ranges);
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i]! * 256 : bytes[i]!;
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum === 0xffff;
}

const FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK"];

function readPacket(packet: Buffer): Omit<Packet, "time" | "flags" | "comments"> {
  const v4 = packet[0] === 0x45;
  if (!v4 && packet[0] !== 0x60) throw new Error(`a packet that begins with ${packet[0]}`);
  const at = v4 ? 20 : 40;
  const said = v4 ? packet.readUInt16BE(2) : packet.readUInt16BE(4) + at;
  if (said !== packet.length) throw new Error(`${packet.length} bytes, its header says ${said}`);
  if (packet[v4 ? 9 : 6] !== 6) throw new Error("not TCP");
  if (v4 && !addsUp(packet.subarray(0, 20))) throw new Error("wrong IPv4 checksum");
  const addresses = v4 ? packet.subarray(12, 20) : packet.subarray(8, 40);
  const tcp = packet.subarray(at);
  const pseudo = Buffer.from([0, 6, tcp.length >> 8, tcp.length & 0xff]);
  if (!addsUp(addresses, pseudo, tcp)) throw new Error("wrong TCP checksum");
  const size = addresses.length / 2;
  const end = (half: number, port: number): string => {
    const ip = addresses.subarray(half * size, half * size + size);
    return `${v4 ? ip.join(".") : ip.toString("hex")} ${port}`;
  };
  return {
    from: end(0, tcp.readUInt16BE(0)),
    to: end(1, tcp.readUInt16BE(2)),
    tcp: FLAGS.filter((_, bit) => (tcp[13]! & (1 << bit)) !== 0),
    sequence: tcp.readUInt32BE(4),
    acknowledgment: tcp.readUInt32BE(8),
    payload: tcp.subarray((tcp[12]! >> 4) * 4),
    bytes: packet.length,
  };
}

interface Sender {
  next: number;
  acknowledged: number | null;
  fin: boolean;
  readonly payloads: Buffer[];
}

export interface Streams {
  readonly client: Buffer;
  readonly proxy: Buffer;
  /** Who sent a FIN, a RST. */
  readonly ends: string[];
}

/**
 * One conversation as a receiver that accepts nothing out of order sees it.
 * @throws Error for a segment that is not the next one, acknowledges what was not sent, or comes after the end.
 */
export function followStreams(packets: readonly Packet[]): Streams {
  const [syn, synAck] = packets;
  if (syn?.tcp.join() !== "SYN" || synAck?.tcp.join() !== "SYN,ACK")
    throw new Error("no handshake");
  const ends: string[] = [];
  const fresh = (): Sender => ({ next: -1, acknowledged: null, fin: false, payloads: [] });
  const sides = { client: fresh(), proxy: fresh() };
  for (const packet of packets) {
    const side = packet.from === syn.from ? "client" : "proxy";
    if (packet.from !== (side === "client" ? syn.from : syn.to)) throw new Error("another address");
    const [sender, peer] =
      side === "client" ? [sides.client, sides.proxy] : [sides.proxy, sides.client];
    if (ends.includes("client RST") || ends.includes("proxy RST")) throw new Error("after a reset");
    if (sender.next >= 0 && packet.sequence !== sender.next) throw new Error("out of order");
    if (packet.tcp.includes("ACK")) acknowledge(packet.acknowledgment, sender, peer);
    const counted = packet.tcp.includes("SYN") || packet.tcp.includes("FIN") ? 1 : 0;
    if (sender.fin && counted + packet.payload.length > 0) throw new Error("after a FIN");
    if (packet.tcp.includes("FIN")) sender.fin = true;
    for (const flag of ["FIN", "RST"]) if (packet.tcp.includes(flag)) ends.push(`${side} ${flag}`);
    sender.payloads.push(packet.payload);
    sender.next = (packet.sequence + packet.payload.length + counted) % 2 ** 32;
  }
  return {
    client: Buffer.concat(sides.client.payloads),
    proxy: Buffer.concat(sides.proxy.payloads),
    ends,
  };
}

/** Nothing unsent is acknowledged, and acknowledgments do not go back: both modulo 2^32. */
function acknowledge(number: number, by: Sender, of: Sender): void {
  const distance = (from: number, to: number): number => (to - from + 2 ** 32) % 2 ** 32;
  if (distance(number, of.next) > 2 ** 31) throw new Error("acknowledges what was not sent");
  if (by.acknowledged !== null && distance(by.acknowledged, number) > 2 ** 31) {
    throw new Error("an acknowledgment goes back");
  }
  by.acknowledged = number;
}
