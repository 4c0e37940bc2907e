// One request and its answer on a QUIC stream, in either role: the order of frames (RFC 9114 section 4.1), how long a body is,
// and both ends. The windows are QUIC's: a stream that is paused is not read, and so holds at most its window in the driver.
//
//   peer sends:  HEADERS (1xx, answers only) ... HEADERS  DATA ...  HEADERS (trailers)  FIN
//                ╰── hasHead ──────────────────────────╯           ╰── hasTrailers ──╯  ╰── remoteEnded
//
// Invariant: once `over`, a stream tells nothing and sends nothing, and its connection has forgotten it.

import type { QuicError, QuicStream, QuicStreamHandler } from "../../quic/transport.ts";
import type { Failure } from "../exchange.ts";
import { readTrailers } from "../h2/section.ts";
import { Fields } from "../message/fields.ts";
import { UNKNOWN_LENGTH } from "../message/heads.ts";
import * as C from "./constants.ts";
import { FrameReader, type FrameSink, type Want } from "./frame-reader.ts";
import { BROKEN, DECODED, type QpackDecoder } from "./qpack/decoder.ts";
import { type FrameTarget, writeData, writeTrailers } from "./write-section.ts";

/** What a stream needs of its connection. */
export interface StreamOwner {
  readonly decoder: QpackDecoder;
  /** Of a HEADERS frame, as it comes. */
  readonly headBytes: number;
  /** Breaks off the connection: the peer broke its rules. */
  fail(code: number, message: string): void;
  /** The stream is over. */
  forget(stream: Stream): void;
}

/** A frame of a reserved type (RFC 9114 section 7.2.8), without contents. */
const NOTHING = Uint8Array.of(0x21, 0);

export abstract class Stream implements QuicStreamHandler, FrameSink, FrameTarget {
  protected readonly owner: StreamOwner;
  /** null: the peer allows no more streams now (clients only). */
  protected quic: QuicStream | null = null;
  readonly #reader: FrameReader;
  over = false;
  /** Our FIN was sent, or nobody wants more of us. */
  localEnded = false;
  /** The frame that is written next is our last. */
  protected isLast = false;
  /** The peer's FIN came, and was told. */
  remoteEnded = false;
  /** A head that is not informational came. */
  hasHead = false;
  #trailers: Fields | null = null;
  /** By Content-Length; UNKNOWN_LENGTH: any number. */
  bodyLeft = UNKNOWN_LENGTH;
  #headTooLarge = false;
  /** Bytes of bodies that came, and that were given to be sent; for sweeps. What has not gone out of them is `pending`. */
  received = 0;
  sent = 0;

  constructor(owner: StreamOwner) {
    this.owner = owner;
    this.#reader = new FrameReader(this);
  }

  /** A head, before `hasHead`: its field section is [start, end) of `bytes`. */
  protected abstract takeHead(bytes: Uint8Array, start: number, end: number): void;
  /** Its HEADERS frame is beyond the limit, and is skipped. */
  protected abstract headTooLarge(): void;
  /** The peer's FIN came before its head. */
  protected abstract endedEarly(): void;
  protected abstract tellBody(bytes: Uint8Array): void;
  protected abstract tellEnd(trailers: Fields | null): void;
  abstract tellFailure(failure: Failure): void;
  abstract tellDrain(): void;

  get id(): number {
    return this.quic?.id ?? -1;
  }

  /** Bytes that wait to be sent. */
  get pending(): number {
    return this.quic?.pending ?? 0;
  }

  /** Within `takeHead`: the peer's FIN came right behind this head, so there is no body. */
  protected get endsHere(): boolean {
    return this.quic!.finished && this.#reader.rest === 0;
  }

  attach(quic: QuicStream): void {
    this.quic = quic;
    quic.handler = this;
  }

  // What its owner sends.

  writeRange(bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.isLast) return this.quic!.writeRange(bytes, start, end);
    this.quic!.end(bytes.subarray(start, end));
    return true;
  }

  sendBody(bytes: Uint8Array): boolean {
    if (this.over || this.localEnded) return false;
    this.sent += bytes.length;
    return bytes.length === 0 || writeData(this, bytes);
  }

  sendEnd(trailers: Fields | null): void {
    if (this.over || this.localEnded) return;
    if (trailers !== null) {
      this.isLast = true;
      writeTrailers(this, trailers);
    }
    this.finishSending();
  }

  /** FIN goes with bytes, see QuicStream.end: those of the last frame, or of one that means nothing. */
  protected finishSending(): void {
    this.localEnded = true;
    if (!this.isLast) this.quic?.end(NOTHING);
    this.closeIfDone();
  }

  protected closeIfDone(): void {
    if (!this.localEnded || !this.remoteEnded || this.over) return;
    this.over = true;
    this.owner.forget(this);
  }

  reset(failure: Failure): void {
    this.abort(codeFor(failure));
  }

  /** RESET_STREAM and STOP_SENDING; nothing of it is left here, and nothing is told. */
  abort(code: number): void {
    if (this.over) return;
    this.over = true;
    this.#reader.stop();
    this.quic?.abort(code);
    this.owner.forget(this);
  }

  /** STOP_SENDING: the peer need not send the rest, of which nothing is told any more. */
  protected stopReading(code: number): void {
    if (this.over || this.remoteEnded) return;
    this.#reader.stop();
    this.remoteEnded = true;
    this.quic?.stopSending(code);
    this.closeIfDone();
  }

  pause(): void {
    if (!this.over) this.quic?.pause();
  }

  resume(): void {
    if (!this.over) this.quic?.resume();
  }

  // What the peer sends.

  onData(bytes: Uint8Array): void {
    if (!this.over && !this.remoteEnded) this.#reader.read(bytes);
  }

  onDrain(): void {
    if (!this.over) this.tellDrain();
  }

  onFrame(type: number, length: number): Want {
    if (type === C.DATA) {
      if (!this.hasHead || this.#trailers !== null) return this.#unexpected("DATA");
      if (this.bodyLeft === UNKNOWN_LENGTH) return "parts";
      this.bodyLeft -= length;
      if (this.bodyLeft >= 0) return "parts";
      this.malformed("more content than content-length says");
      return "nothing";
    }
    if (type === C.HEADERS) {
      if (this.#trailers !== null) return this.#unexpected("HEADERS");
      if (length <= this.owner.headBytes) return "whole";
      this.#sectionTooLarge();
      return "nothing";
    }
    if (type === C.PUSH_PROMISE || type === C.CANCEL_PUSH || type === C.MAX_PUSH_ID) {
      return this.#unexpected("a frame of server push");
    }
    if (type === C.SETTINGS || type === C.GOAWAY || C.isReservedFrame(type)) {
      return this.#unexpected(`frame type ${type}`);
    }
    return "nothing"; // an extension (section 9)
  }

  #unexpected(what: string): Want {
    this.#reader.stop();
    this.owner.fail(C.H3_FRAME_UNEXPECTED, `${what} on stream ${this.id}`);
    return "nothing";
  }

  onPart(bytes: Uint8Array): void {
    if (this.over) return;
    this.received += bytes.length;
    this.tellBody(bytes);
  }

  onPayload(_type: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.over) return;
    if (!this.hasHead) return this.takeHead(bytes, start, end);
    const trailers = new Fields();
    if (!this.decode(bytes, start, end, trailers)) return;
    const wrong = readTrailers(trailers);
    if (wrong !== "") return this.malformed(wrong);
    this.#trailers = trailers;
  }

  /** @returns false: the connection was broken off, or the section was too large and the stream reset. */
  protected decode(bytes: Uint8Array, start: number, end: number, into: Fields): boolean {
    const outcome = this.owner.decoder.decode(bytes, start, end, into);
    if (outcome === DECODED) return true;
    if (outcome === BROKEN) {
      this.#reader.stop();
      this.owner.fail(C.QPACK_DECOMPRESSION_FAILED, "a field section that cannot be decoded");
    } else if (!this.#headTooLarge) this.#sectionTooLarge();
    return false;
  }

  #sectionTooLarge(): void {
    this.#headTooLarge = true;
    if (this.hasHead) this.malformed("trailers that are too large");
    else this.headTooLarge();
  }

  /** A stream error: H3_MESSAGE_ERROR (section 4.1.2). */
  protected malformed(message: string): void {
    if (this.over) return;
    this.abort(C.H3_MESSAGE_ERROR);
    this.tellFailure({ code: "malformed", message, unprocessed: false });
  }

  onEnd(): void {
    if (this.over || this.remoteEnded) return;
    if (!this.#reader.betweenFrames) {
      return this.owner.fail(C.H3_FRAME_ERROR, `stream ${this.id} ends within a frame`);
    }
    if (!this.hasHead) return this.endedEarly();
    if (this.bodyLeft > 0) return this.malformed("less content than content-length says");
    this.remoteEnded = true;
    this.tellEnd(this.#trailers);
    this.closeIfDone();
  }

  onStopSending(_code: number): void {
    if (this.over || this.localEnded) return;
    this.localEnded = true;
    this.closeIfDone();
  }

  onClose(error: (Error & { code?: string }) | null): void {
    if (this.over) return;
    this.over = true;
    this.#reader.stop();
    this.owner.forget(this);
    this.closed(error as QuicError | null);
  }

  /** Its connection is gone, which forgets it. */
  lose(failure: Failure): void {
    if (this.over) return;
    this.over = true;
    this.#reader.stop();
    this.tellFailure(failure);
  }

  /** By a reset of the peer, or with its connection; not both ends had come. */
  protected abstract closed(error: QuicError | null): void;
}

/** What a stream that cannot be completed is reset with. */
function codeFor(failure: Failure): number {
  switch (failure.code) {
    case "malformed":
      return C.H3_MESSAGE_ERROR;
    case "drain":
      return failure.unprocessed ? C.H3_REQUEST_REJECTED : C.H3_REQUEST_CANCELLED;
    case "reset":
    case "stream_reset":
    case "timeout":
    case "too_large":
      return C.H3_REQUEST_CANCELLED;
    default:
      return C.H3_INTERNAL_ERROR;
  }
}
