// Datagrams that the system hands over as one (UDP_GRO, udp(7)): of one sender, and of one size but for the last, which may be
// shorter. The runtime does not tell that size, so it is found by what each packet begins with: an id that leads to a
// connection of ours. Pure. Called by endpoints and by what connects, for each read of a socket that gathers.
//
// Invariant: nothing is cut but where every piece is a packet with a known id, or with a header that tells its length. A wrong
// cut would lose packets, as the network does: quiche drops what it cannot decrypt.

import { QUICHE } from "../../../shared/limits.ts";
import {
  CID_BYTES,
  INITIAL_MIN_BYTES,
  isLong,
  parseLongHeader,
  readVarint,
  TYPE_INITIAL,
  VERSION_1,
} from "./packets.ts";

/** Flags, id, and 20 bytes of packet number, payload and tag (RFC 9001 section 5.4.2). */
const SHORT_MIN_BYTES = 1 + CID_BYTES + 20;
const FORM_AND_FIXED = 0xc0;
const SHORT = 0x40;
const LONG = 0xc0;

export class Gathered {
  readonly #known: Pick<ReadonlySet<string>, "has">;
  /** Of the last that were found by a connection's own id. */
  #lastSize = Infinity;

  /** @param known the ids that lead to connections, as latin1. */
  constructor(known: Pick<ReadonlySet<string>, "has">) {
    this.#known = known;
  }

  /** @returns of each datagram but the last; as many bytes as there are: it is a single one. */
  sizeIn(bytes: Buffer): number {
    if (bytes.length < 2 * SHORT_MIN_BYTES) return bytes.length;
    return isLong(bytes) ? this.#sizeOfInitials(bytes) : this.#sizeOfShort(bytes);
  }

  #sizeOfShort(bytes: Buffer): number {
    const id = bytes.subarray(1, 1 + CID_BYTES);
    let at = SHORT_MIN_BYTES;
    for (let tries = 0; tries < QUICHE.gatheredTries; tries++) {
      const size = bytes.indexOf(id, at + 1) - 1;
      if (size < 0) break;
      if (this.#isCut(bytes, size)) return (this.#lastSize = this.#partOf(bytes, size));
      at = size + 1;
    }
    // One packet of each of several connections, or one packet.
    const size = this.#partOf(bytes, bytes.length);
    return size === bytes.length && this.#isCut(bytes, this.#lastSize) ? this.#lastSize : size;
  }

  /** Between two packets of one connection there may be those of others, whom the same sender talks to. */
  #partOf(bytes: Buffer, size: number): number {
    for (let parts = QUICHE.gatheredPeers; parts > 1; parts--) {
      if (size % parts === 0 && this.#isCut(bytes, size / parts)) return size / parts;
    }
    return size;
  }

  /**
   * A client's Initials, whose datagrams are of 1200 bytes at least: quiche would take what is behind one for a part of it. Other
   * packets with long headers tell where they end, so that it makes no difference to quiche.
   */
  #sizeOfInitials(bytes: Buffer): number {
    const header = parseLongHeader(bytes);
    if (header === null || header.version !== VERSION_1 || header.type !== TYPE_INITIAL) {
      return bytes.length;
    }
    const length = readVarint(bytes, header.lengthAt);
    if (length === null) return bytes.length;
    const size = length.end + length.value;
    return size >= INITIAL_MIN_BYTES && this.#isCut(bytes, size) ? size : bytes.length;
  }

  /** Whether a packet begins at each multiple of this size. */
  #isCut(bytes: Buffer, size: number): boolean {
    if (size < SHORT_MIN_BYTES || size >= bytes.length) return false;
    for (let at = size; at < bytes.length; at += size) if (!this.#begins(bytes, at)) return false;
    return true;
  }

  #begins(bytes: Buffer, at: number): boolean {
    if (at + SHORT_MIN_BYTES > bytes.length) return false;
    const form = bytes[at]! & FORM_AND_FIXED;
    if (form === LONG) return bytes.readUInt32BE(at + 1) === VERSION_1;
    return form === SHORT && this.#known.has(bytes.toString("latin1", at + 1, at + 1 + CID_BYTES));
  }
}
