// The streams of a connection that carry no message (RFC 9114 section 6.2, RFC 9204 section 4.2): the peer's control stream, its
// two of QPACK, on which nothing may come while our table has no room, and those of types that nobody knows, which are stopped.
// Called by connection.ts.

import { H3 } from "../../../shared/limits.ts";
import type { QuicStream, QuicStreamHandler } from "../../quic/transport.ts";
import * as C from "./constants.ts";
import { FrameReader, type FrameSink, type Want } from "./frame-reader.ts";
import { readVarint, VARINT_MAX_BYTES, varintLength } from "./varint.ts";

/** What the peer says on its control stream. */
export interface ControlEvents {
  /** SETTINGS came, all of them. */
  onSettings(settings: ReadonlyMap<number, number>): void;
  onGoAway(id: number): void;
  /** The peer opened one of these. @returns false: it has one already. */
  opened(type: number): boolean;
  /** Breaks off the connection. */
  fail(code: number, message: string): void;
}

/** A unidirectional stream of the peer, until its type is known and then. */
export class PeerStream implements QuicStreamHandler {
  readonly #quic: QuicStream;
  readonly #events: ControlEvents;
  /** The peer's role decides what a push stream is. */
  readonly #server: boolean;
  readonly #head = new Uint8Array(VARINT_MAX_BYTES);
  #headBytes = 0;
  #type = -1;
  #frames: FrameReader | null = null;

  /** @param server whether we are. */
  constructor(quic: QuicStream, server: boolean, events: ControlEvents) {
    this.#quic = quic;
    this.#server = server;
    this.#events = events;
  }

  onData(bytes: Uint8Array): void {
    let at = 0;
    while (this.#type < 0 && at < bytes.length) {
      this.#head[this.#headBytes++] = bytes[at++]!;
      if (this.#headBytes === varintLength(this.#head[0]!)) this.#begin(readVarint(this.#head, 0));
    }
    if (at === bytes.length) return;
    const rest = at === 0 ? bytes : bytes.subarray(at);
    if (this.#frames !== null) this.#frames.read(rest);
    else if (this.#type === C.QPACK_ENCODER_STREAM) this.#onInstructions(rest);
    else if (this.#type === C.QPACK_DECODER_STREAM) this.#onFeedback(rest);
  }

  #begin(type: number): void {
    this.#type = type;
    if (type === C.PUSH_STREAM) {
      // We allowed none, by no MAX_PUSH_ID; clients never have any.
      const code = this.#server ? C.H3_STREAM_CREATION_ERROR : C.H3_ID_ERROR;
      return this.#events.fail(code, "a push stream");
    }
    if (type > C.QPACK_DECODER_STREAM) return this.#quic.stopSending(C.H3_STREAM_CREATION_ERROR);
    if (!this.#events.opened(type)) {
      return this.#events.fail(C.H3_STREAM_CREATION_ERROR, "a second stream of one kind");
    }
    if (type === C.CONTROL_STREAM) this.#frames = new FrameReader(new Control(this.#events));
  }

  /** Of the peer's encoder: all that it may say is that a table of 0 bytes has 0 bytes. */
  #onInstructions(bytes: Uint8Array): void {
    for (const octet of bytes) {
      if (octet === 0x20) continue;
      return this.#events.fail(C.QPACK_ENCODER_STREAM_ERROR, "an entry for a table without room");
    }
  }

  /** Of the peer's decoder: we refer to no entries, so nothing but cancelled streams can be told. */
  #onFeedback(bytes: Uint8Array): void {
    for (const octet of bytes) {
      // A stream's number behind 01 in six bits; more of it in bytes that have any value.
      if (this.#feedbackLeft) {
        this.#feedbackLeft = octet >= 0x80;
        continue;
      }
      if ((octet & 0xc0) !== 0x40) {
        return this.#events.fail(C.QPACK_DECODER_STREAM_ERROR, "feedback on nothing");
      }
      this.#feedbackLeft = (octet & 0x3f) === 0x3f;
    }
  }
  #feedbackLeft = false;

  onEnd(): void {
    this.#closed();
  }

  onClose(error: (Error & { code?: string }) | null): void {
    // Otherwise the connection is gone, and tells that itself.
    if (error?.code === "ERR_QUIC_RESET") this.#closed();
  }

  #closed(): void {
    if (this.#type >= 0 && this.#type <= C.QPACK_DECODER_STREAM) {
      this.#events.fail(C.H3_CLOSED_CRITICAL_STREAM, `stream type ${this.#type} was closed`);
    }
  }

  onDrain(): void {}
}

class Control implements FrameSink {
  readonly #events: ControlEvents;
  #hasSettings = false;

  constructor(events: ControlEvents) {
    this.#events = events;
  }

  onFrame(type: number, length: number): Want {
    if (!this.#hasSettings && type !== C.SETTINGS) {
      return this.#fail(
        C.H3_MISSING_SETTINGS,
        "a control stream that does not begin with SETTINGS",
      );
    }
    const again = this.#hasSettings && type === C.SETTINGS;
    const misplaced = type === C.DATA || type === C.HEADERS || type === C.PUSH_PROMISE;
    if (again || misplaced || C.isReservedFrame(type)) {
      return this.#fail(C.H3_FRAME_UNEXPECTED, `frame type ${type} on a control stream`);
    }
    if (type !== C.SETTINGS && type !== C.GOAWAY) return "nothing";
    if (type === C.SETTINGS) this.#hasSettings = true;
    if (length <= H3.controlFrameBytes) return "whole";
    return this.#fail(C.H3_EXCESSIVE_LOAD, "a frame that is too large");
  }

  #fail(code: number, message: string): Want {
    this.#events.fail(code, message);
    return "nothing";
  }

  onPart(): void {}

  onPayload(type: number, bytes: Uint8Array, start: number, end: number): void {
    if (type === C.SETTINGS) return this.#readSettings(bytes, start, end);
    const whole = end > start && start + varintLength(bytes[start]!) === end;
    if (whole) this.#events.onGoAway(readVarint(bytes, start));
    else this.#events.fail(C.H3_FRAME_ERROR, "GOAWAY with anything but an id");
  }

  #readSettings(bytes: Uint8Array, start: number, end: number): void {
    const settings = new Map<number, number>();
    for (let at = start; at < end;) {
      const valueAt = at + varintLength(bytes[at]!);
      const next = valueAt < end ? valueAt + varintLength(bytes[valueAt]!) : end + 1;
      if (next > end) return this.#events.fail(C.H3_FRAME_ERROR, "SETTINGS that end within one");
      const id = readVarint(bytes, at);
      if (settings.has(id) || C.isReservedSetting(id)) {
        return this.#events.fail(C.H3_SETTINGS_ERROR, `setting ${id} twice, or of HTTP/2`);
      }
      settings.set(id, readVarint(bytes, valueAt));
      at = next;
    }
    this.#events.onSettings(settings);
  }
}
