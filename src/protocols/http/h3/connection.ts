// One connection of HTTP/3 (RFC 9114) over a QUIC connection, in either role: our control stream with SETTINGS, the peer's
// streams that carry no message, and how it ends. What requests and answers mean is in stream.ts and its two kinds.
//
// Invariant: `streams` are those that are not over; once `isOpen` is false, nothing is written and each of them was told.

import type {
  QuicConnection,
  QuicConnectionHandler,
  QuicError,
  QuicStream,
} from "../../quic/transport.ts";
import type { Failure } from "../exchange.ts";
import * as C from "./constants.ts";
import { type ControlEvents, PeerStream } from "./control.ts";
import { QpackDecoder } from "./qpack/decoder.ts";
import type { Stream, StreamOwner } from "./stream.ts";
import { writeVarint } from "./varint.ts";

export interface ConnectionOptions {
  readonly server: boolean;
  readonly headBytes: number;
  readonly headFields: number;
  /** Extended CONNECT is taken (RFC 9220); servers say it. */
  readonly connectProtocol: boolean;
}

export abstract class Connection implements QuicConnectionHandler, ControlEvents, StreamOwner {
  readonly quic: QuicConnection;
  readonly decoder: QpackDecoder;
  readonly headBytes: number;
  readonly streams = new Set<Stream>();
  readonly #server: boolean;
  readonly #control: QuicStream | null;
  /** By type: the peer has opened it. */
  #opened = 0;
  /** The peer's last GOAWAY. */
  #goAway = Infinity;
  isOpen = true;
  /** Why it was broken off, by us. */
  protected failure: Failure | null = null;

  constructor(quic: QuicConnection, options: ConnectionOptions) {
    this.quic = quic;
    this.headBytes = options.headBytes;
    this.decoder = new QpackDecoder(options.headBytes, options.headFields);
    this.#server = options.server;
    quic.handler = this;
    this.#control = quic.openUnidirectional();
    if (this.#control === null) {
      queueMicrotask(() =>
        this.fail(C.H3_GENERAL_PROTOCOL_ERROR, "no stream for SETTINGS is allowed"),
      );
      return;
    }
    this.#control.handler = OWN_CONTROL;
    this.#writeSettings(options);
  }

  #writeSettings({ headBytes, connectProtocol }: ConnectionOptions): void {
    // Stream type and frame header, with a length of one byte.
    const frame = new Uint8Array(32);
    frame[0] = C.CONTROL_STREAM;
    frame[1] = C.SETTINGS;
    let at = writeVarint(C.SETTINGS_MAX_FIELD_SECTION_SIZE, frame, 3);
    at = writeVarint(headBytes, frame, at);
    if (connectProtocol) {
      at = writeVarint(C.SETTINGS_ENABLE_CONNECT_PROTOCOL, frame, at);
      at = writeVarint(1, frame, at);
    }
    frame[2] = at - 3;
    this.#control!.write(frame.subarray(0, at));
  }

  /** @param id of the first stream that is not processed. */
  protected sendGoAway(id: number): void {
    if (!this.isOpen || this.#control === null) return;
    const frame = new Uint8Array(16);
    frame[0] = C.GOAWAY;
    const end = writeVarint(id, frame, 2);
    frame[1] = end - 2;
    this.#control.write(frame.subarray(0, end));
  }

  /** The peer opened a stream for a request. */
  protected abstract onRequestStream(stream: QuicStream): void;
  abstract onSettings(settings: ReadonlyMap<number, number>): void;
  /** @param id as the peer's GOAWAY says it. */
  protected abstract onDraining(id: number): void;
  /** A stream is over. */
  protected abstract onStreamOver(stream: Stream): void;
  /** Nothing is left of it. */
  protected abstract onGone(failure: Failure | null): void;
  abstract onStreamsAvailable(): void;

  onStream(stream: QuicStream): void {
    if (stream.direction === "in") stream.handler = new PeerStream(stream, this.#server, this);
    else this.onRequestStream(stream);
  }

  onDatagram(): void {
    // None was agreed upon (RFC 9297 section 2.1): nobody here reads them.
  }

  opened(type: number): boolean {
    const bit = 1 << type;
    const first = (this.#opened & bit) === 0;
    this.#opened |= bit;
    return first;
  }

  onGoAway(id: number): void {
    // Of servers it names a stream of clients (section 5.2), at first often the last that there could be, 2^62-4, which is not
    // exact here; it may only become smaller.
    const isStream = id % 4 === 0 || id === Number.MAX_SAFE_INTEGER;
    if (id > this.#goAway || (!this.#server && !isStream)) {
      return this.fail(C.H3_ID_ERROR, `GOAWAY with id ${id}`);
    }
    this.#goAway = id;
    this.onDraining(id);
  }

  forget(stream: Stream): void {
    if (this.streams.delete(stream) && this.isOpen) this.onStreamOver(stream);
  }

  /** A connection error (section 8): the peer broke the rules. */
  fail(code: number, message: string): void {
    if (!this.isOpen) return;
    this.failure = {
      code: "malformed",
      message: `${C.errorName(code)}: ${message}`,
      unprocessed: false,
    };
    this.finish(code, message);
  }

  /** CONNECTION_CLOSE. Streams that are left are told. */
  protected finish(code: number, message: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.quic.close(code, message);
    this.#tellStreams(this.failure ?? CLOSED_HERE);
    this.onGone(this.failure);
  }

  onClose(error: QuicError | null): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    const failure = error === null || error.wireCode === C.H3_NO_ERROR ? null : closedBy(error);
    this.#tellStreams(closedBy(error));
    this.onGone(failure);
  }

  #tellStreams(failure: Failure): void {
    for (const stream of this.streams) stream.lose(failure);
    this.streams.clear();
  }

  destroy(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.quic.destroy();
    this.#tellStreams(CLOSED_HERE);
    this.onGone(this.failure);
  }
}

/** Our control stream: a peer that has it closed closes the connection, too. */
const OWN_CONTROL = {
  onData: () => {},
  onDrain: () => {},
  onEnd: () => {},
  onClose: () => {},
};

const CLOSED_HERE: Failure = {
  code: "closed",
  message: "the connection was closed",
  unprocessed: false,
};

/** What became of a connection, for those who used it. */
export function closedBy(error: QuicError | null): Failure {
  const code = error?.code === "ERR_QUIC_TIMEOUT" ? "timeout" : "closed";
  const message = error === null ? "the peer closed the connection" : error.message;
  return { code, message, unprocessed: false };
}
