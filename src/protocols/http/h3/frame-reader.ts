// Reads frames (RFC 9114 section 7.1) of a stream, however they are cut: a payload is given whole, or as it comes, or skipped, as
// whoever reads wants it. Held is at most one frame's header, and a payload that is wanted whole, whose length its reader has
// seen before. Pure; called by streams and by control.ts.

import { readVarint, VARINT_MAX_BYTES, varintLength } from "./varint.ts";

export type Want = "whole" | "parts" | "nothing";

export interface FrameSink {
  /** A frame begins. Whoever does not want to read on calls `stop` of the reader. */
  onFrame(type: number, length: number): Want;
  /** All of a payload that was wanted whole: [start, end), valid during the call. */
  onPayload(type: number, bytes: Uint8Array, start: number, end: number): void;
  /** A part of one that was wanted in parts, valid during the call. */
  onPart(bytes: Uint8Array): void;
}

const NOTHING = new Uint8Array(0);

export class FrameReader {
  readonly #sink: FrameSink;
  #header = NOTHING;
  #headerBytes = 0;
  #type = 0;
  #want: Want = "nothing";
  /** Of the payload, still to come. */
  #left = 0;
  #payload = NOTHING;
  #payloadBytes = 0;
  #stopped = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Within a call of the sink: bytes of this `read` that are not read yet. */
  rest = 0;

  /** Nothing more is read. */
  stop(): void {
    this.#stopped = true;
    this.#payload = NOTHING;
  }

  /** Between two frames: the stream may end here. */
  get betweenFrames(): boolean {
    return this.#left === 0 && this.#headerBytes === 0;
  }

  read(bytes: Uint8Array): void {
    let at = 0;
    const end = bytes.length;
    while (at < end && !this.#stopped) {
      at = this.#left > 0 ? this.#readPayload(bytes, at, end) : this.#readHeader(bytes, at, end);
    }
  }

  #readHeader(bytes: Uint8Array, at: number, end: number): number {
    if (this.#headerBytes === 0) {
      const lengthAt = at + varintLength(bytes[at]!);
      const payloadAt = lengthAt < end ? lengthAt + varintLength(bytes[lengthAt]!) : end + 1;
      if (payloadAt <= end) {
        this.rest = end - payloadAt;
        this.#begin(readVarint(bytes, at), readVarint(bytes, lengthAt));
        return payloadAt;
      }
      if (this.#header === NOTHING) this.#header = new Uint8Array(2 * VARINT_MAX_BYTES);
    }
    // Byte by byte: a header that was cut is rare.
    const header = this.#header;
    header[this.#headerBytes++] = bytes[at]!;
    const lengthAt = varintLength(header[0]!);
    if (this.#headerBytes <= lengthAt) return at + 1;
    if (this.#headerBytes < lengthAt + varintLength(header[lengthAt]!)) return at + 1;
    this.#headerBytes = 0;
    this.rest = end - at - 1;
    this.#begin(readVarint(header, 0), readVarint(header, lengthAt));
    return at + 1;
  }

  #begin(type: number, length: number): void {
    this.#type = type;
    this.#left = length;
    this.#want = this.#sink.onFrame(type, length);
    if (this.#stopped) return;
    if (length === 0 && this.#want === "whole") this.#sink.onPayload(type, NOTHING, 0, 0);
  }

  #readPayload(bytes: Uint8Array, at: number, end: number): number {
    const taken = Math.min(this.#left, end - at);
    const to = at + taken;
    const whole = taken === this.#left && this.#payloadBytes === 0;
    this.#left -= taken;
    this.rest = end - to;
    if (this.#want === "parts") {
      this.#sink.onPart(at === 0 && to === end ? bytes : bytes.subarray(at, to));
    } else if (this.#want === "whole") {
      if (whole) this.#sink.onPayload(this.#type, bytes, at, to);
      else this.#gather(bytes, at, to);
    }
    return to;
  }

  #gather(bytes: Uint8Array, at: number, to: number): void {
    if (this.#payloadBytes === 0) this.#payload = new Uint8Array(to - at + this.#left);
    this.#payload.set(bytes.subarray(at, to), this.#payloadBytes);
    this.#payloadBytes += to - at;
    if (this.#left > 0) return;
    const { length } = this.#payload;
    const payload = this.#payload;
    this.#payload = NOTHING;
    this.#payloadBytes = 0;
    this.#sink.onPayload(this.#type, payload, 0, length);
  }
}
