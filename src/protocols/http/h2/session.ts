// The streams of one connection of HTTP/2, in either role: which frames are allowed in which state (RFC 9113 section 5.1), and
// what becomes of a stream that ends or fails. What a request and an answer are is the business of server.ts and client.ts,
// which extend it.
//
// Invariant: a stream is in `streams` until it is over; `#closed` knows how the last ones ended.

import { H2 } from "../../../shared/limits.ts";
import type { Wire } from "../../wire/wire.ts";
import type { FailureCode } from "../exchange.ts";
import { Fields } from "../message/fields.ts";
import { ClosedStreams, ENDED, type Ending, FORGOTTEN, RESET } from "./closed-streams.ts";
import { Connection, type SessionOptions } from "./connection.ts";
import * as C from "./constants.ts";
import * as Guard from "./guards.ts";
import { BROKEN, DECODED, HpackDecoder } from "./hpack/decoder.ts";
import { readTrailers } from "./section.ts";
import type { Stream } from "./stream.ts";
import { writeTrailers } from "./write-section.ts";

/** Trailers are read and passed on within one call; also blocks that nobody wants, which the table needs. */
const scratch = new Fields();

export abstract class Session extends Connection {
  protected readonly decoder: HpackDecoder;
  protected readonly streams = new Map<number, Stream>();
  readonly #closed = new ClosedStreams();
  protected peerWindow: number = C.FIRST_WINDOW;
  /** The stream of the DATA frame that is being read; null: nobody wants it. */
  #dataStream: Stream | null = null;
  #dataEmpty = false;
  /** Frames of DATA that had been sent when the last WINDOW_UPDATE came. */
  #framesSeen = 0;

  constructor(wire: Wire, options: SessionOptions) {
    super(wire, options);
    this.decoder = new HpackDecoder(options.headBytes, options.headFields);
  }

  /** A head, or trailers, of a stream that the peer has not ended. */
  protected abstract onStreamHeaders(
    stream: Stream,
    end: boolean,
    bytes: Uint8Array,
    from: number,
    to: number,
  ): void;
  /** HEADERS of a stream that was not open before. */
  protected abstract onNewHeaders(
    id: number,
    end: boolean,
    dependency: number,
    bytes: Uint8Array,
    from: number,
    to: number,
  ): void;
  /** END_STREAM went out; the peer's did not come, or was not told yet. */
  protected abstract onLocalEnd(stream: Stream): void;
  /** The stream is over, and was taken out. */
  protected abstract onStreamOver(stream: Stream): void;
  /** The peer sent RST_STREAM: the stream is to be closed, and its owner told. */
  protected abstract onPeerReset(stream: Stream, code: number): void;

  // Errors.

  onStreamError(id: number, code: number, message: string): void {
    const stream = this.streams.get(id);
    if (stream !== undefined) {
      this.resetStream(stream, code);
      stream.tellFailure({ code: "malformed", message, unprocessed: false });
      this.spend(Guard.RESETS);
    } else if (this.isIdle(id)) this.onConnectionError(code, message);
    else this.refuse(id, code);
  }

  /** RST_STREAM for a stream that has no place here. */
  protected refuse(id: number, code: number): void {
    this.sender.output.reset(id, code);
    this.#closed.add(id, RESET);
    this.spend(Guard.RESETS);
  }

  /** Never opened by who may open it. */
  protected isIdle(id: number): boolean {
    return (id & 1) === 0 || id > this.last;
  }

  protected endStreams(code: FailureCode, message: string): void {
    for (const stream of this.streams.values()) {
      if (stream.over || this.isWhole(stream)) continue;
      this.closeStream(stream, RESET);
      stream.tellFailure({ code, message, unprocessed: false });
    }
  }

  /** Everything that the peer had to send is here, and will be taken. */
  protected isWhole(_stream: Stream): boolean {
    return false;
  }

  protected closeStream(stream: Stream, ending: Ending): void {
    if (stream.over) return;
    stream.close();
    this.streams.delete(stream.id);
    this.#closed.add(stream.id, ending);
    if (ending === ENDED) this.guards.allow(Guard.RESETS, 1);
    if (this.#dataStream === stream) this.#dataStream = null;
    this.onStreamOver(stream);
  }

  // What streams ask for.

  sendData(stream: Stream, bytes: Uint8Array): number {
    return this.sender.send(stream, bytes);
  }

  enqueue(stream: Stream): void {
    this.sender.enqueue(stream);
  }

  sendEnd(stream: Stream, trailers: Fields | null): void {
    if (trailers === null) this.sender.endStream(stream.id);
    else writeTrailers(this.sender, stream.id, trailers);
    this.localEnd(stream);
  }

  /** END_STREAM was written. */
  localEnd(stream: Stream): void {
    stream.localEnded = true;
    if (stream.remoteEnded && !stream.endHeld) this.closeStream(stream, ENDED);
    else this.onLocalEnd(stream);
  }

  resetStream(stream: Stream, code: number): void {
    if (this.isOpen) this.sender.output.reset(stream.id, code);
    // What was under way crosses this on its way.
    this.guards.allow(Guard.USELESS, 2);
    this.closeStream(stream, RESET);
  }

  returnStreamWindow(stream: Stream): void {
    if (stream.unreturned * 2 < H2.streamWindowBytes || stream.remoteEnded) return;
    this.sender.output.windowUpdate(stream.id, stream.unreturned);
    stream.receiveWindow += stream.unreturned;
    stream.unreturned = 0;
  }

  // What comes in: frames of streams.

  onDataBegin(id: number, length: number, padding: number): void {
    this.#dataStream = null;
    this.#dataEmpty = length === padding;
    if (!this.takeConnectionWindow(length)) return;
    if (padding > 0) this.returnConnectionWindow(padding);
    const stream = this.streams.get(id);
    if (stream === undefined || stream.remoteEnded) return this.#frameAfterEnd(id, stream, "DATA");
    stream.receiveWindow -= length;
    stream.unreturned += padding;
    if (!stream.hasHead) this.onStreamError(id, C.PROTOCOL_ERROR, "DATA before the head");
    else if (stream.receiveWindow >= 0) this.#dataStream = stream;
    else this.onStreamError(id, C.FLOW_CONTROL_ERROR, "more DATA than the stream's window");
  }

  onDataPart(bytes: Uint8Array): void {
    const stream = this.#dataStream;
    if (stream === null) return this.returnConnectionWindow(bytes.length);
    if (stream.bodyLeft >= 0) {
      stream.bodyLeft -= bytes.length;
      if (stream.bodyLeft < 0) {
        this.returnConnectionWindow(bytes.length);
        return this.onStreamError(stream.id, C.PROTOCOL_ERROR, "more DATA than content-length");
      }
    }
    stream.receive(bytes);
  }

  onDataEnd(endStream: boolean): void {
    if (this.#dataEmpty && !endStream && !this.spend(Guard.EMPTY_DATA)) return;
    const stream = this.#dataStream;
    this.#dataStream = null;
    if (endStream && stream !== null) this.remoteEnd(stream, null);
  }

  /** END_STREAM came. */
  protected remoteEnd(stream: Stream, trailers: Fields | null): void {
    if (stream.bodyLeft > 0) {
      return this.onStreamError(stream.id, C.PROTOCOL_ERROR, "less DATA than content-length");
    }
    stream.receiveEnd(trailers);
    if (!stream.endHeld) this.remoteTaken(stream);
  }

  remoteTaken(stream: Stream): void {
    if (stream.localEnded) this.closeStream(stream, ENDED);
  }

  onHeaders(
    id: number,
    end: boolean,
    dependency: number,
    bytes: Uint8Array,
    from: number,
    to: number,
  ): void {
    this.endContinuations();
    const stream = this.streams.get(id);
    if (stream !== undefined && !stream.remoteEnded) {
      if (dependency !== id) return this.onStreamHeaders(stream, end, bytes, from, to);
      if (this.#discardBlock(bytes, from, to)) this.onPriority(id, dependency);
      return;
    }
    if (this.isIdle(id)) return this.onNewHeaders(id, end, dependency, bytes, from, to);
    if (this.#discardBlock(bytes, from, to)) this.#frameAfterEnd(id, stream, "HEADERS");
  }

  /** Decodes a block that nobody wants, for the table's sake. */
  #discardBlock(bytes: Uint8Array, from: number, to: number): boolean {
    scratch.clear();
    return this.decoded(this.decoder.decode(bytes, from, to, scratch)) !== BROKEN;
  }

  /** @returns the same; where it is BROKEN, the connection was ended. */
  protected decoded<T extends number>(outcome: T): T {
    const message = "a field block that cannot be decoded";
    if (outcome === BROKEN) this.onConnectionError(C.COMPRESSION_ERROR, message);
    return outcome;
  }

  /** Trailers of a stream that is open. */
  protected takeTrailers(
    stream: Stream,
    end: boolean,
    bytes: Uint8Array,
    from: number,
    to: number,
  ): void {
    scratch.clear();
    const outcome = this.decoded(this.decoder.decode(bytes, from, to, scratch));
    if (outcome === BROKEN) return;
    let wrong = end ? readTrailers(scratch) : "a second head";
    if (outcome !== DECODED) wrong = "trailers that are too large";
    if (wrong !== "") return this.onStreamError(stream.id, C.PROTOCOL_ERROR, wrong);
    this.remoteEnd(stream, scratch);
  }

  /** DATA or HEADERS of a stream that the peer has ended, or that is over. */
  #frameAfterEnd(id: number, stream: Stream | undefined, frame: string): void {
    if (stream === undefined && this.isIdle(id)) return this.#neverOpened(frame);
    const message = `${frame} on a stream that has ended`;
    if (stream !== undefined) return this.onStreamError(id, C.STREAM_CLOSED, message);
    const ending = this.#closed.of(id);
    if (ending === RESET) return void (frame === "DATA" || this.spend(Guard.USELESS));
    if (ending === FORGOTTEN && frame === "HEADERS") return this.#neverOpened(frame);
    if (ending === ENDED) this.onConnectionError(C.STREAM_CLOSED, message);
    else this.refuse(id, C.STREAM_CLOSED);
  }

  /** A number that was not used, also one that was passed by. */
  #neverOpened(frame: string): void {
    this.onConnectionError(C.PROTOCOL_ERROR, `${frame} on a stream that was never opened`);
  }

  onReset(id: number, code: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (!this.isIdle(id)) this.spend(Guard.USELESS);
      else this.#neverOpened("RST_STREAM");
      return;
    }
    this.onPeerReset(stream, code);
  }

  onPriority(id: number, dependency: number): void {
    if (id !== dependency) this.spend(Guard.USELESS);
    else this.onStreamError(id, C.PROTOCOL_ERROR, "a stream that depends on itself");
  }

  /** Of all streams: what was sent into the old window counts in the new one (RFC 9113 section 6.9.2). */
  protected moveWindows(value: number): void {
    const more = value - this.peerWindow;
    this.peerWindow = value;
    for (const stream of this.streams.values()) {
      stream.sendWindow += more;
      if (stream.sendWindow > C.MAXIMUM) {
        return this.onConnectionError(C.FLOW_CONTROL_ERROR, "a window beyond its maximum");
      }
      if (more > 0 && stream.waiting.length > 0) this.sender.enqueue(stream);
    }
  }

  onWindowUpdate(id: number, increment: number): void {
    const { frames } = this.sender;
    this.guards.allow(Guard.WINDOW_UPDATES, (frames - this.#framesSeen) * H2.windowUpdatesPerFrame);
    this.#framesSeen = frames;
    if (!this.spend(Guard.WINDOW_UPDATES)) return;
    if (id === 0) return this.widen(increment);
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) this.#neverOpened("WINDOW_UPDATE");
      else if (increment === 0) this.refuse(id, C.PROTOCOL_ERROR);
      return;
    }
    if (increment === 0) return this.onStreamError(id, C.PROTOCOL_ERROR, "WINDOW_UPDATE of 0");
    stream.sendWindow += increment;
    if (stream.sendWindow > C.MAXIMUM) {
      return this.onStreamError(id, C.FLOW_CONTROL_ERROR, "a window beyond its maximum");
    }
    if (stream.waiting.length === 0) return;
    this.sender.enqueue(stream);
    this.sender.pump();
  }
}
