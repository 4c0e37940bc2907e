// The ClientHello in a client's Initial packets (RFC 9001 section 5): they are encrypted with keys that anybody can derive
// from the id that the client made up, and a hello may come in pieces, in any order, over several of them. Pure. Called by
// endpoints that have several certificates to choose among.

import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";

import { type HelloOutcome, parseBareHello } from "../../../l4/tls/client-hello.ts";
import { FIRST_BYTES, QUICHE } from "../../../shared/limits.ts";
import { type LongHeader, readVarint } from "./packets.ts";

const SALT = Buffer.from("38762cf7f55934b34d179ae6a4c80cadccbb7f0a", "hex");
const TAG_BYTES = 16;
const SAMPLE_BYTES = 16;
/** Header protection assumes the longest packet number. */
const NUMBER_MAX_BYTES = 4;

const PADDING = 0x00;
const PING = 0x01;
const ACK = 0x02;
const ACK_ECN = 0x03;
const CRYPTO = 0x06;

interface Keys {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly headerProtection: Uint8Array;
}

/** RFC 9001 section 5.2, of what clients send. */
function clientKeys(dcid: Uint8Array): Keys {
  const initial = createHmac("sha256", SALT).update(dcid).digest();
  const client = expandLabel(initial, "client in", 32);
  return {
    key: expandLabel(client, "quic key", 16),
    iv: expandLabel(client, "quic iv", 12),
    headerProtection: expandLabel(client, "quic hp", 16),
  };
}

/** HKDF-Expand-Label (RFC 8446 section 7.1) of at most 32 bytes, which are one round of HKDF-Expand. */
function expandLabel(secret: Uint8Array, label: string, bytes: number): Uint8Array {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.from([0, bytes, name.length, ...name, 0, 1]);
  return createHmac("sha256", secret).update(info).digest().subarray(0, bytes);
}

/** @returns the frames of an Initial; null: it is not what it seems. The datagram stays as it is. */
function decrypt(datagram: Uint8Array, { lengthAt }: LongHeader, keys: Keys): Uint8Array | null {
  const length = readVarint(datagram, lengthAt);
  if (length === null) return null;
  const numberAt = length.end;
  const end = numberAt + length.value;
  const sampleAt = numberAt + NUMBER_MAX_BYTES;
  if (end > datagram.length || sampleAt + SAMPLE_BYTES > end) return null;
  const sample = datagram.subarray(sampleAt, sampleAt + SAMPLE_BYTES);
  const mask = createCipheriv("aes-128-ecb", keys.headerProtection, null).update(sample);
  const header = Buffer.from(datagram.subarray(0, sampleAt));
  header[0]! ^= mask[0]! & 0x0f;
  const numberBytes = (header[0]! & 0x03) + 1;
  const nonce = Buffer.from(keys.iv);
  for (let i = 0; i < numberBytes; i++) {
    header[numberAt + i]! ^= mask[1 + i]!;
    nonce[nonce.length - numberBytes + i]! ^= header[numberAt + i]!;
  }
  const bodyAt = numberAt + numberBytes;
  const decipher = createDecipheriv("aes-128-gcm", keys.key, nonce);
  decipher.setAAD(header.subarray(0, bodyAt));
  decipher.setAuthTag(datagram.subarray(end - TAG_BYTES, end));
  const frames = decipher.update(datagram.subarray(bodyAt, end - TAG_BYTES));
  try {
    decipher.final();
  } catch {
    return null; // it was changed on the way, or never was a packet
  }
  return frames;
}

/** One client's hello, as far as it came. Holds no more than the longest hello that is read. */
export class HelloCollector {
  readonly #keys: Keys;
  #bytes = new Uint8Array(0);
  /** Parts that came, [start, end), in order and apart from each other. */
  #parts: [number, number][] = [];

  /** @param dcid of the client's first packet. */
  constructor(dcid: Uint8Array) {
    this.#keys = clientKeys(dcid);
  }

  /** @param header of this Initial. */
  add(datagram: Uint8Array, header: LongHeader): HelloOutcome {
    const frames = decrypt(datagram, header, this.#keys);
    if (frames === null || !this.#readFrames(frames)) return INVALID;
    const [first] = this.#parts;
    return parseBareHello(this.#bytes.subarray(0, first?.[0] === 0 ? first[1] : 0));
  }

  /** @returns false: a frame that an Initial may not have, or a hello that is too long or in too many pieces. */
  #readFrames(frames: Uint8Array): boolean {
    for (let at = 0; at < frames.length;) {
      const type = frames[at++]!;
      if (type === PADDING || type === PING) continue;
      const next =
        type === CRYPTO
          ? this.#readCrypto(frames, at)
          : type === ACK || type === ACK_ECN
            ? skipAck(frames, at, type === ACK_ECN)
            : -1;
      if (next < 0 || this.#parts.length > QUICHE.helloPartsMax) return false;
      at = next;
    }
    return true;
  }

  /** @returns where the next frame begins, or -1. */
  #readCrypto(frames: Uint8Array, at: number): number {
    const offset = readVarint(frames, at);
    const length = offset && readVarint(frames, offset.end);
    if (length === null || length.end + length.value > frames.length) return -1;
    const end = offset!.value + length.value;
    if (end > FIRST_BYTES.clientHelloMaxBytes) return -1;
    if (length.value > 0)
      this.#hold(offset!.value, frames.subarray(length.end, length.end + length.value));
    return length.end + length.value;
  }

  #hold(start: number, piece: Uint8Array): void {
    const end = start + piece.length;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.min(FIRST_BYTES.clientHelloMaxBytes, 2 * end));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(piece, start);
    const apart = this.#parts.filter((part) => part[1] < start || part[0] > end);
    const touching = this.#parts.filter((part) => part[1] >= start && part[0] <= end);
    const from = Math.min(start, ...touching.map((part) => part[0]));
    const to = Math.max(end, ...touching.map((part) => part[1]));
    this.#parts = [...apart, [from, to] as [number, number]].toSorted((a, b) => a[0] - b[0]);
  }
}

/** @returns where the next frame begins, or -1. RFC 9000 section 19.3. */
function skipAck(frames: Uint8Array, start: number, hasCounts: boolean): number {
  let at = start;
  const next = (): number => {
    const number = at < 0 ? null : readVarint(frames, at);
    at = number === null ? -1 : number.end;
    return number === null ? 0 : number.value;
  };
  next(); // Largest Acknowledged
  next(); // ACK Delay
  const ranges = next();
  next(); // First ACK Range
  for (let i = 0; i < ranges && at >= 0; i++) {
    next();
    next();
  }
  if (hasCounts) for (let i = 0; i < 3; i++) next();
  return at;
}

const INVALID: HelloOutcome = Object.freeze({
  type: "invalid",
  reason: "its Initial cannot be read",
});
