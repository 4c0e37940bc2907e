// Reads frames (RFC 9113 section 4) out of a byte stream that is split anywhere, and holds them to what can be said of a frame
// by itself: its size, its stream's number, its padding, and that nothing comes between HEADERS and their CONTINUATION.
//
// Invariant: payloads of DATA are told as they come and never held; of other frames at most one is held, and one field block.
// After `fail` or `stop` nothing is told any more. Pure; called by the session, which it tells everything.

import * as C from "./constants.ts";

/** What a frame says. Ranges of bytes are valid during the call only. */
export interface FrameHandler {
  /** A DATA frame begins. @param length what flow control counts: with padding. @param padding of it, with its length. */
  onDataBegin(stream: number, length: number, padding: number): void;
  /** A part of it that is not empty. */
  onDataPart(bytes: Uint8Array): void;
  onDataEnd(endStream: boolean): void;
  /** HEADERS with all of their CONTINUATION. @param dependency on another stream; -1 without priority. */
  onHeaders(
    stream: number,
    endStream: boolean,
    dependency: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void;
  onPriority(stream: number, dependency: number): void;
  onReset(stream: number, code: number): void;
  onSetting(id: number, value: number): void;
  /** All settings of a frame were told. */
  onSettingsEnd(): void;
  onSettingsAck(): void;
  /** Eight octets from `at` on. */
  onPing(bytes: Uint8Array, at: number): void;
  onPingAck(bytes: Uint8Array, at: number): void;
  onGoAway(last: number, code: number): void;
  /** @param stream 0: the connection. @param increment may be 0, which is an error. */
  onWindowUpdate(stream: number, increment: number): void;
  /** A frame of a type that is not known. */
  onUnknown(): void;
  /** A part of a field block that is not the last one; there may be too many. */
  onContinuation(): void;
  /** A stream error. */
  onStreamError(stream: number, code: number, message: string): void;
  /** A connection error. Nothing follows. */
  onConnectionError(code: number, message: string): void;
}

const NOTHING = new Uint8Array(0);
/** A larger memory is not kept for the next frame: most connections rest most of the time. */
const HELD_KEPT_BYTES = 512;

export class FrameReader {
  readonly #handler: FrameHandler;
  readonly #blockMax: number;
  /** Bytes of the preface that are still expected. */
  #preface: number;
  #first = true;
  #stopped = false;
  /** The beginning of a frame whose end has not come: its header, and its payload unless it is DATA. */
  #held = NOTHING;
  #heldBytes = 0;
  /** Of a DATA frame under way: what is left of its contents and of its padding. */
  #dataLeft = 0;
  #paddingLeft = 0;
  #dataFlags = 0;
  #inData = false;
  /** A field block under way: 0 if there is none. */
  #blockStream = 0;
  #blockFlags = 0;
  #blockDependency = -1;
  #block = NOTHING;
  #blockBytes = 0;

  /**
   * @param preface whether the client's preface comes first: at a server.
   * @param blockMax bytes that a field block in several frames may have.
   */
  constructor(handler: FrameHandler, preface: boolean, blockMax: number) {
    this.#handler = handler;
    this.#blockMax = blockMax;
    this.#preface = preface ? C.PREFACE.length : 0;
  }

  /** A field block has begun and has not ended: its sender is slow, or hostile. */
  get inBlock(): boolean {
    return this.#blockStream !== 0;
  }

  /** Something has begun and has not ended: a frame, or a field block. */
  get midway(): boolean {
    return this.#heldBytes > 0 || this.#blockStream !== 0;
  }

  /** Tells nothing any more. */
  stop(): void {
    this.#stopped = true;
    this.#held = this.#block = NOTHING;
  }

  push(bytes: Uint8Array): void {
    const { length } = bytes;
    let at = this.#preface > 0 ? this.#readPreface(bytes) : 0;
    while (at < length && !this.#stopped) {
      if (this.#inData) at = this.#readData(bytes, at);
      else if (this.#heldBytes > 0) at = this.#readHeld(bytes, at);
      else if (length - at < C.FRAME_HEADER_BYTES) at = this.#hold(bytes, at, length);
      else at = this.#readFrame(bytes, at);
    }
    if (this.#inData && this.#dataLeft + this.#paddingLeft === 0 && !this.#stopped) this.#endData();
  }

  #fail(code: number, message: string): void {
    this.stop();
    this.#handler.onConnectionError(code, message);
  }

  #readPreface(bytes: Uint8Array): number {
    const { PREFACE } = C;
    let at = 0;
    for (; at < bytes.length && this.#preface > 0; at++, this.#preface--) {
      if (bytes[at] === PREFACE[PREFACE.length - this.#preface]) continue;
      this.#fail(C.PROTOCOL_ERROR, "the connection preface is not that of HTTP/2");
      break;
    }
    return at;
  }

  /** A frame that begins at `at`, with its whole header. @returns what comes behind what was read of it. */
  #readFrame(bytes: Uint8Array, at: number): number {
    const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    const type = bytes[at + 3]!;
    const flags = bytes[at + 4]!;
    const stream = uint31(bytes, at + 5);
    if (!this.#admits(type, flags, stream, length)) return bytes.length;
    const start = at + C.FRAME_HEADER_BYTES;
    if (type === C.DATA) {
      if ((flags & C.PADDED) === 0) {
        this.#beginData(stream, flags, length, 0);
        return start;
      }
      if (start === bytes.length) return this.#hold(bytes, at, start);
      this.#beginPaddedData(stream, flags, length, bytes[start]!);
      return start + 1;
    }
    const end = start + length;
    if (end > bytes.length) return this.#hold(bytes, at, bytes.length);
    this.#readPayload(type, flags, stream, bytes, start, end);
    return end;
  }

  /** Completes a frame that began in an earlier part, as far as these bytes go. */
  #readHeld(bytes: Uint8Array, at: number): number {
    const held = this.#heldBytes;
    let need = C.FRAME_HEADER_BYTES;
    if (held >= need) {
      const padded = (this.#held[4]! & C.PADDED) !== 0;
      if (this.#held[3] === C.DATA) need += padded ? 1 : 0;
      else need += (this.#held[0]! << 16) | (this.#held[1]! << 8) | this.#held[2]!;
    }
    const until = Math.min(bytes.length, at + need - held);
    this.#hold(bytes, at, until);
    if (this.#heldBytes < need) return until;
    // Whole as far as was asked for; a header alone may show that more is needed, and is refused before that is held.
    this.#heldBytes = 0;
    const frame = this.#held.subarray(0, need);
    this.#readFrame(frame, 0);
    if (this.#heldBytes === 0 && this.#held.length > HELD_KEPT_BYTES) this.#held = NOTHING;
    return until;
  }

  /** Keeps [at, end) behind what is held. @returns end. */
  #hold(bytes: Uint8Array, at: number, end: number): number {
    const total = this.#heldBytes + end - at;
    // `bytes` may be what is held itself, from its beginning.
    if (bytes.buffer !== this.#held.buffer || this.#heldBytes > 0) {
      this.#held = grown(this.#held, this.#heldBytes, total);
      this.#held.set(bytes.subarray(at, end), this.#heldBytes);
    }
    this.#heldBytes = total;
    return end;
  }

  /** What a header alone shows. */
  #admits(type: number, flags: number, stream: number, length: number): boolean {
    let wrong = "";
    let code = C.PROTOCOL_ERROR;
    if (length > C.FIRST_FRAME_SIZE) {
      wrong = `a frame of ${length} bytes`;
      code = C.FRAME_SIZE_ERROR;
    } else if (this.#first && (type !== C.SETTINGS || (flags & C.ACK) !== 0)) {
      wrong = "the first frame is not SETTINGS";
    } else if (
      this.#blockStream !== 0 &&
      (type !== C.CONTINUATION || stream !== this.#blockStream)
    ) {
      wrong = "a field block is broken up by another frame";
    } else if (this.#blockStream === 0 && type === C.CONTINUATION) {
      wrong = "CONTINUATION without HEADERS";
    } else if (stream === 0 && NEEDS_STREAM[type] === 1) {
      wrong = `frame type ${type} on stream 0`;
    } else if (stream !== 0 && NEEDS_CONNECTION[type] === 1) {
      wrong = `frame type ${type} on stream ${stream}`;
    } else if (length !== FIXED_LENGTHS[type] && (FIXED_LENGTHS[type] ?? -1) >= 0) {
      wrong = `frame type ${type} with ${length} bytes`;
      code = C.FRAME_SIZE_ERROR;
    }
    this.#first = false;
    if (wrong === "") return true;
    this.#fail(code, wrong);
    return false;
  }

  #beginPaddedData(stream: number, flags: number, length: number, padding: number): void {
    if (padding >= length) return this.#fail(C.PROTOCOL_ERROR, "padding is longer than its frame");
    this.#beginData(stream, flags, length, padding + 1);
  }

  #beginData(stream: number, flags: number, length: number, padding: number): void {
    this.#inData = true;
    this.#dataFlags = flags;
    this.#dataLeft = length - padding;
    this.#paddingLeft = padding === 0 ? 0 : padding - 1;
    this.#handler.onDataBegin(stream, length, padding);
  }

  #readData(bytes: Uint8Array, at: number): number {
    if (this.#dataLeft > 0) {
      const end = Math.min(bytes.length, at + this.#dataLeft);
      this.#dataLeft -= end - at;
      this.#handler.onDataPart(bytes.subarray(at, end));
      at = end;
      if (this.#stopped) return at;
    }
    const padding = Math.min(bytes.length - at, this.#paddingLeft);
    this.#paddingLeft -= padding;
    if (this.#dataLeft + this.#paddingLeft === 0) this.#endData();
    return at + padding;
  }

  #endData(): void {
    this.#inData = false;
    this.#handler.onDataEnd((this.#dataFlags & C.END_STREAM) !== 0);
  }

  #readPayload(
    type: number,
    flags: number,
    stream: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const handler = this.#handler;
    switch (type) {
      case C.HEADERS:
        return this.#readHeaders(flags, stream, bytes, start, end);
      case C.CONTINUATION:
        return this.#readContinuation(flags, bytes, start, end);
      case C.PRIORITY:
        if (end - start === 5) handler.onPriority(stream, uint31(bytes, start));
        else handler.onStreamError(stream, C.FRAME_SIZE_ERROR, "PRIORITY that has not five bytes");
        return;
      case C.RST_STREAM:
        return handler.onReset(stream, uint32(bytes, start));
      case C.SETTINGS:
        return this.#readSettings(flags, bytes, start, end);
      case C.PUSH_PROMISE:
        return this.#fail(C.PROTOCOL_ERROR, "PUSH_PROMISE, which nobody asked for");
      case C.PING:
        if ((flags & C.ACK) !== 0) handler.onPingAck(bytes, start);
        else handler.onPing(bytes, start);
        return;
      case C.GOAWAY:
        if (end - start < 8) return this.#fail(C.FRAME_SIZE_ERROR, "GOAWAY that is too short");
        return handler.onGoAway(uint31(bytes, start), uint32(bytes, start + 4));
      case C.WINDOW_UPDATE:
        return handler.onWindowUpdate(stream, uint31(bytes, start));
      default:
        return handler.onUnknown();
    }
  }

  #readSettings(flags: number, bytes: Uint8Array, start: number, end: number): void {
    const ack = (flags & C.ACK) !== 0;
    if ((end - start) % 6 !== 0 || (ack && end > start)) {
      return this.#fail(C.FRAME_SIZE_ERROR, `SETTINGS with ${end - start} bytes`);
    }
    if (ack) return this.#handler.onSettingsAck();
    for (let at = start; at < end && !this.#stopped; at += 6) {
      this.#handler.onSetting((bytes[at]! << 8) | bytes[at + 1]!, uint32(bytes, at + 2));
    }
    if (!this.#stopped) this.#handler.onSettingsEnd();
  }

  #readHeaders(flags: number, stream: number, bytes: Uint8Array, start: number, end: number): void {
    let padding = 0;
    if ((flags & C.PADDED) !== 0) {
      if (start === end) return this.#fail(C.FRAME_SIZE_ERROR, "HEADERS that are too short");
      padding = bytes[start++]!;
    }
    let dependency = -1;
    if ((flags & C.PRIORITY_FLAG) !== 0) {
      if (end - start < 5) return this.#fail(C.FRAME_SIZE_ERROR, "HEADERS that are too short");
      dependency = uint31(bytes, start);
      start += 5;
    }
    if (padding > end - start)
      return this.#fail(C.PROTOCOL_ERROR, "padding is longer than its frame");
    end -= padding;
    if ((flags & C.END_HEADERS) !== 0) {
      this.#handler.onHeaders(stream, (flags & C.END_STREAM) !== 0, dependency, bytes, start, end);
      return;
    }
    this.#blockStream = stream;
    this.#blockFlags = flags;
    this.#blockDependency = dependency;
    this.#blockBytes = 0;
    this.#extendBlock(bytes, start, end);
  }

  #readContinuation(flags: number, bytes: Uint8Array, start: number, end: number): void {
    if (!this.#extendBlock(bytes, start, end) || (flags & C.END_HEADERS) === 0) return;
    const stream = this.#blockStream;
    const endStream = (this.#blockFlags & C.END_STREAM) !== 0;
    const block = this.#block;
    this.#blockStream = 0;
    this.#block = NOTHING;
    this.#handler.onHeaders(stream, endStream, this.#blockDependency, block, 0, this.#blockBytes);
  }

  #extendBlock(bytes: Uint8Array, start: number, end: number): boolean {
    const total = this.#blockBytes + end - start;
    if (total > this.#blockMax) {
      this.#fail(C.ENHANCE_YOUR_CALM, `a field block of more than ${this.#blockMax} bytes`);
      return false;
    }
    this.#block = grown(this.#block, this.#blockBytes, total);
    this.#block.set(bytes.subarray(start, end), this.#blockBytes);
    this.#blockBytes = total;
    this.#handler.onContinuation();
    return !this.#stopped;
  }
}

/** By type: 1 where a frame belongs to a stream, or to the connection. */
const NEEDS_STREAM = Uint8Array.of(1, 1, 1, 1, 0, 1, 0, 0, 0, 1);
const NEEDS_CONNECTION = Uint8Array.of(0, 0, 0, 0, 1, 0, 1, 1, 0, 0);
/** By type: the only length that is allowed, as a connection error; -1: others are. */
const FIXED_LENGTHS = Int8Array.of(-1, -1, -1, 4, -1, -1, 8, -1, 4, -1);

/** `bytes` or a larger copy of its first `used`, with room for `total`. */
function grown(
  bytes: Uint8Array<ArrayBuffer>,
  used: number,
  total: number,
): Uint8Array<ArrayBuffer> {
  if (total <= bytes.length) return bytes;
  const larger = new Uint8Array(Math.max(total, bytes.length * 2, 64));
  larger.set(bytes.subarray(0, used));
  return larger;
}

function uint31(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! & 0x7f) << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
  );
}

function uint32(bytes: Uint8Array, at: number): number {
  return uint31(bytes, at) + (bytes[at]! >= 0x80 ? 2 ** 31 : 0);
}
