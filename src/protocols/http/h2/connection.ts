// One connection of HTTP/2 in either role, without its streams (RFC 9113): the wire and its end, errors, settings, PING, the
// window of the connection as a whole, and what bounds a hostile peer. session.ts adds the streams, server.ts and client.ts
// what they mean.
//
//   wire ──onData──▶ FrameReader ──▶ Connection, Session ──▶ Stream ──▶ its owner
//   wire ◀──one write a turn── Output ◀── Sender ◀── Stream ◀── its owner

import { H2 } from "../../../shared/limits.ts";
import type { Wire, WireHandler } from "../../wire/wire.ts";
import type { Failure, FailureCode } from "../exchange.ts";
import type { Fields } from "../message/fields.ts";
import * as C from "./constants.ts";
import { type FrameHandler, FrameReader } from "./frame-reader.ts";
import * as Guard from "./guards.ts";
import { Sender } from "./sender.ts";
import type { Stream, StreamOwner } from "./stream.ts";

/** What a session is made with, beyond its wire. */
export interface SessionOptions {
  readonly server: boolean;
  readonly headBytes: number;
  readonly headFields: number;
  /** Of the connection as a whole, for what comes in. */
  readonly windowBytes: number;
  readonly nowMs: number;
  readonly settings: readonly (readonly [id: number, value: number])[];
}

/** As `nowMs`: the first sweep will tell. */
export const UNKNOWN_TIME = -1;

/** OPEN: as ever. CLOSING: our end was ended, the peer is to close. GONE: the wire is no more. */
const OPEN = 0;
const CLOSING = 1;
const GONE = 2;

export abstract class Connection implements WireHandler, FrameHandler, StreamOwner {
  protected readonly wire: Wire;
  readonly sender: Sender;
  protected readonly reader: FrameReader;
  protected readonly guards: Guard.Guards;
  readonly #server: boolean;
  #state = OPEN;
  #closingMs = 0;
  /** Of the last sweep. */
  protected nowMs: number;
  protected startedMs: number;

  /** The highest stream that the client of this connection opened. */
  protected last = 0;
  /** The peer's settings came, and ours were acknowledged. */
  protected peerSettled = false;
  #settled = false;

  readonly #windowBytes: number;
  /** What the peer may still send, and what has left this session and was not given back yet. */
  #receiveWindow: number = C.FIRST_WINDOW;
  #unreturned: number;
  #continuations = 0;
  /** Frames of DATA that had been sent when the last PING came. */
  #framesAtPing = 0;
  /** The wire is paused since the peer does not read our answers. */
  #deaf = false;

  constructor(wire: Wire, options: SessionOptions) {
    this.wire = wire;
    this.nowMs = this.startedMs = options.nowMs;
    this.#server = options.server;
    this.sender = new Sender(wire, this);
    this.reader = new FrameReader(this, options.server, options.headBytes + H2.blockSpareBytes);
    this.guards = new Guard.Guards(options.nowMs);
    this.#windowBytes = options.windowBytes;
    if (!options.server) this.sender.output.preface();
    this.sender.output.settings(options.settings);
    this.#unreturned = options.windowBytes - C.FIRST_WINDOW;
    this.returnConnectionWindow(0);
    wire.handler = this;
  }

  // Of session.ts.
  abstract sendData(stream: Stream, bytes: Uint8Array): number;
  abstract enqueue(stream: Stream): void;
  abstract sendEnd(stream: Stream, trailers: Fields | null): void;
  abstract remoteTaken(stream: Stream): void;
  abstract resetStream(stream: Stream, code: number): void;
  abstract returnStreamWindow(stream: Stream): void;
  abstract onDataBegin(id: number, length: number, padding: number): void;
  abstract onDataPart(bytes: Uint8Array): void;
  abstract onDataEnd(end: boolean): void;
  abstract onPriority(id: number, dependency: number): void;
  abstract onReset(id: number, code: number): void;
  abstract onWindowUpdate(id: number, increment: number): void;
  abstract onStreamError(id: number, code: number, message: string): void;
  abstract onHeaders(
    id: number,
    end: boolean,
    dependency: number,
    bytes: Uint8Array,
    from: number,
    to: number,
  ): void;
  /** SETTINGS_INITIAL_WINDOW_SIZE. */
  protected abstract moveWindows(value: number): void;
  /** Ends all streams, whose owners are told. */
  protected abstract endStreams(code: FailureCode, message: string): void;

  // Of server.ts and client.ts.
  abstract onEnd(): void;
  abstract onGoAway(last: number, code: number): void;
  abstract onPingAck(bytes: Uint8Array, at: number): void;
  protected abstract onPeerSetting(id: number, value: number): void;
  protected abstract onPeerSettings(): void;
  /** The peer used a budget up. */
  protected abstract onAbuse(kind: number): void;
  /** The connection is ended for what the peer did. */
  protected abstract onPeerFault(code: number, message: string): void;
  /** The wire is gone; called once. */
  protected abstract onGone(failure: Failure | null): void;

  get isOpen(): boolean {
    return this.#state === OPEN;
  }

  // The wire.

  onData(bytes: Uint8Array): void {
    if (this.#state !== OPEN) return;
    this.reader.push(bytes);
    const { output } = this.sender;
    if (!output.blocked || this.wire.pending < output.blockedAt + H2.stalledOutputBytes) return;
    // Whoever asks and does not read the answers is not read any more.
    this.#deaf = true;
    this.wire.pause();
  }

  onDrain(): void {
    this.sender.output.blocked = false;
    if (this.#deaf) {
      this.#deaf = false;
      this.wire.resume();
    }
    this.sender.pump();
  }

  onClose(error: (Error & { code?: string }) | null): void {
    const message = error === null ? "the peer closed the connection" : error.message;
    this.#leave(error === null ? null : { code: "closed", message, unprocessed: false }, message);
  }

  #leave(failure: Failure | null, message: string): void {
    if (this.#state === GONE) return;
    this.#state = GONE;
    this.reader.stop();
    this.sender.discard();
    this.endStreams("closed", message);
    this.onGone(failure);
  }

  /** Sends what is written and ends the wire, after which the peer closes. */
  protected finish(): void {
    if (this.#state !== OPEN) return;
    this.#state = CLOSING;
    this.#closingMs = this.nowMs;
    this.reader.stop();
    this.sender.output.flush();
    this.wire.end();
  }

  destroy(): void {
    if (this.#state === GONE) return;
    this.wire.reset();
    this.#leave(null, "the connection was ended");
  }

  /** Gives budgets back and ends what does not close or does not settle. @returns whether there is more to look at. */
  protected sweepConnection(nowMs: number): boolean {
    this.nowMs = nowMs;
    if (this.startedMs === UNKNOWN_TIME) this.startedMs = nowMs;
    if (this.#state === OPEN) {
      this.guards.refill(nowMs);
      const late = !this.#settled && this.peerSettled && nowMs - this.startedMs >= H2.settingsAckMs;
      if (!late) return true;
      this.onConnectionError(C.SETTINGS_TIMEOUT, "SETTINGS were not acknowledged");
    } else if (this.#state === CLOSING && nowMs - this.#closingMs >= H2.lingerMs) this.destroy();
    return false;
  }

  // Errors.

  onConnectionError(code: number, message: string): void {
    if (this.#state !== OPEN) return;
    this.sender.output.goAway(this.#server ? this.last : 0, code, message);
    this.finish();
    this.onPeerFault(code, message);
    this.endStreams("malformed", message);
  }

  /** @returns false if that was too much, and the connection is ended. */
  protected spend(kind: number): boolean {
    if (this.guards.spend(kind)) return true;
    if (this.#state !== OPEN) return false;
    this.onAbuse(kind);
    this.onConnectionError(C.ENHANCE_YOUR_CALM, `too many ${Guard.guardName(kind)}`);
    return false;
  }

  // The window of the connection.

  get blocked(): boolean {
    return this.sender.output.blocked;
  }

  /** @returns false if the peer may not send that much: the connection is ended. */
  protected takeConnectionWindow(bytes: number): boolean {
    this.#receiveWindow -= bytes;
    if (this.#receiveWindow >= 0) return true;
    this.onConnectionError(C.FLOW_CONTROL_ERROR, "more DATA than the connection's window");
    return false;
  }

  returnConnectionWindow(bytes: number): void {
    this.#unreturned += bytes;
    if (this.#unreturned * 2 < this.#windowBytes || this.#state !== OPEN) return;
    this.sender.output.windowUpdate(0, this.#unreturned);
    this.#receiveWindow += this.#unreturned;
    this.#unreturned = 0;
  }

  /** WINDOW_UPDATE of the connection. */
  protected widen(increment: number): void {
    const { sender } = this;
    if (increment === 0) return this.onConnectionError(C.PROTOCOL_ERROR, "WINDOW_UPDATE of 0");
    sender.window += increment;
    if (sender.window <= C.MAXIMUM) sender.pump();
    else this.onConnectionError(C.FLOW_CONTROL_ERROR, "a window beyond its maximum");
  }

  // What comes in: frames of the connection.

  onSetting(id: number, value: number): void {
    switch (id) {
      case C.SETTINGS_HEADER_TABLE_SIZE:
        return this.sender.encoder.setMaximum(value);
      case C.SETTINGS_INITIAL_WINDOW_SIZE:
        if (value <= C.MAXIMUM) return this.moveWindows(value);
        return this.onConnectionError(C.FLOW_CONTROL_ERROR, `an initial window of ${value}`);
      case C.SETTINGS_MAX_FRAME_SIZE:
        if (value >= C.FIRST_FRAME_SIZE && value <= C.FRAME_SIZE_MAX) return;
        return this.onConnectionError(C.PROTOCOL_ERROR, `a maximum frame size of ${value}`);
      case C.SETTINGS_ENABLE_PUSH:
      case C.SETTINGS_ENABLE_CONNECT_PROTOCOL:
        if (value > 1) return this.onConnectionError(C.PROTOCOL_ERROR, `setting ${id} is ${value}`);
        break;
      default:
    }
    this.onPeerSetting(id, value);
  }

  onSettingsEnd(): void {
    if (!this.spend(Guard.SETTINGS_FRAMES)) return;
    this.sender.output.settingsAck();
    this.peerSettled = true;
    this.onPeerSettings();
    this.sender.pump();
  }

  onSettingsAck(): void {
    if (this.#settled) this.spend(Guard.SETTINGS_FRAMES);
    this.#settled = true;
  }

  onPing(bytes: Uint8Array, at: number): void {
    // Programs that measure the round trip (gRPC's) send one for what they were sent.
    const { frames } = this.sender;
    this.guards.allow(Guard.PINGS, frames - this.#framesAtPing);
    this.#framesAtPing = frames;
    if (this.spend(Guard.PINGS)) this.sender.output.ping(true, bytes, at);
  }

  onUnknown(): void {
    this.spend(Guard.USELESS);
  }

  onContinuation(): void {
    if (++this.#continuations <= H2.continuations) return;
    this.onAbuse(Guard.USELESS);
    this.onConnectionError(C.ENHANCE_YOUR_CALM, "too many CONTINUATION");
  }

  /** A field block has ended. */
  protected endContinuations(): void {
    this.#continuations = 0;
  }
}
