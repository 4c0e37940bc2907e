// One stream of a session, in either role: the states of RFC 9113 section 5.1 as two ends that are open or not, what waits to
// be sent until windows allow it, and what came in and nobody has taken yet.
//
// Invariant: what is held of a paused stream is at most its window; the peer gets its window back only for what was taken and
// did not make the taker pause. Once `over`, a stream tells nothing and sends nothing.

import { H2, HTTP_RELAY } from "../../../shared/limits.ts";
import type { Failure } from "../exchange.ts";
import { Fields } from "../message/fields.ts";
import { UNKNOWN_LENGTH } from "../message/heads.ts";
import { ByteQueue, NO_BYTES } from "./byte-queue.ts";
import * as C from "./constants.ts";

/** What a stream needs of its session. */
export interface StreamOwner {
  /** The wire takes no more: streams stop. */
  readonly blocked: boolean;
  /** Sends what the windows and the wire allow. @returns how many of these bytes went out. */
  sendData(stream: Stream, bytes: Uint8Array): number;
  /** It has more to send, or wants to be told when there is room. */
  enqueue(stream: Stream): void;
  sendEnd(stream: Stream, trailers: Fields | null): void;
  /** Bytes that came on the stream have left it. */
  returnConnectionWindow(bytes: number): void;
  returnStreamWindow(stream: Stream): void;
  /** The peer's end was told, later than it came. */
  remoteTaken(stream: Stream): void;
  /** RST_STREAM, and nothing of it is left here. */
  resetStream(stream: Stream, code: number): void;
}

export abstract class Stream {
  readonly id: number;
  protected readonly owner: StreamOwner;
  over = false;

  /** What may be sent by the peer's window; negative after it made the window smaller. */
  sendWindow: number;
  /** END_STREAM was sent. */
  localEnded = false;
  /** The end, behind what waits. */
  endWaits = false;
  trailersWait: Fields | null = null;
  waiting = NO_BYTES;
  /** It stands in the sender's round, before `next`. */
  queued = false;
  next: Stream | null = null;
  /** It was told to stop. */
  wantsDrain = false;
  /** Bytes of DATA that went out; for sweeps. */
  sent = 0;

  /** A head came: DATA may follow. */
  hasHead = false;
  /** END_STREAM came. */
  remoteEnded = false;
  /** What the peer may still send by our window. */
  receiveWindow: number = H2.streamWindowBytes;
  /** Taken, and not given back to the peer yet. */
  unreturned = 0;
  /** By Content-Length; UNKNOWN_LENGTH: any number. */
  bodyLeft = UNKNOWN_LENGTH;
  /** Bytes of DATA that came; for sweeps. */
  received = 0;
  #paused = true;
  #held = NO_BYTES;
  /** END_STREAM came, behind what is held. */
  endHeld = false;
  #trailersHeld: Fields | null = null;

  /** Since when its peer owes progress, and what had gone out or come in by then. */
  readMs = -1;
  readFrom = 0;
  bodyMs = -1;
  bodyFrom = 0;
  /** So long nothing of the body has come, in whole measuring times. */
  #bodyRestedMs = 0;

  constructor(id: number, owner: StreamOwner, sendWindow: number) {
    this.id = id;
    this.owner = owner;
    this.sendWindow = sendWindow;
  }

  protected abstract tellData(bytes: Uint8Array): void;
  protected abstract tellEnd(trailers: Fields | null): void;
  abstract tellFailure(failure: Failure): void;
  abstract tellDrain(): void;

  /** Nobody takes what comes in, so the peer cannot be blamed for sending nothing. */
  get paused(): boolean {
    return this.#paused;
  }

  // What its owner sends.

  sendBody(bytes: Uint8Array): boolean {
    if (this.over || this.localEnded || this.endWaits) return false;
    const at = this.queued || this.waiting.length > 0 ? 0 : this.owner.sendData(this, bytes);
    if (at === bytes.length && !this.owner.blocked) return true;
    if (at < bytes.length) {
      if (this.waiting === NO_BYTES) this.waiting = new ByteQueue();
      this.waiting.append(bytes, at);
    }
    this.wantsDrain = true;
    this.owner.enqueue(this);
    return false;
  }

  sendEnd(trailers: Fields | null): void {
    if (this.over || this.localEnded || this.endWaits) return;
    if (this.waiting.length === 0) return this.owner.sendEnd(this, trailers);
    this.endWaits = true;
    if (trailers !== null) (this.trailersWait = new Fields()).copy(trailers);
  }

  reset(failure: Failure): void {
    if (!this.over) this.owner.resetStream(this, codeFor(failure));
  }

  // What the peer sends.

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused || this.over) return;
    this.#paused = false;
    if (this.#held.length > 0) this.#take(this.#held.takeAll());
    if (this.#paused || this.over) return;
    this.owner.returnStreamWindow(this);
    if (this.endHeld) {
      this.endHeld = false;
      this.tellEnd(this.#trailersHeld);
      this.owner.remoteTaken(this);
    }
  }

  /** DATA that the peer was allowed to send. */
  receive(bytes: Uint8Array): void {
    this.received += bytes.length;
    if (this.#paused || this.#held.length > 0) return this.#hold(bytes);
    this.#take(bytes);
    if (!this.#paused && !this.over) this.owner.returnStreamWindow(this);
  }

  #hold(bytes: Uint8Array): void {
    if (this.#held === NO_BYTES) this.#held = new ByteQueue();
    this.#held.append(bytes, 0);
  }

  #take(bytes: Uint8Array): void {
    this.unreturned += bytes.length;
    this.owner.returnConnectionWindow(bytes.length);
    this.tellData(bytes);
  }

  /** END_STREAM. The end is told behind what is held; without a body at once. @param trailers valid during the call. */
  receiveEnd(trailers: Fields | null): void {
    this.remoteEnded = true;
    if (this.#held.length === 0) return this.tellEnd(trailers);
    this.endHeld = true;
    if (trailers !== null) (this.#trailersHeld = new Fields()).copy(trailers);
  }

  /**
   * Looked at again and again: whether the peer, who has had something to read for all of a measuring time, has read too little.
   * @param slow the connection as a whole makes no progress either; else a stream is judged by its own window alone.
   * @param isHeld by a limit of ours: it has nothing to read meanwhile.
   */
  readsTooSlowly(nowMs: number, bytesPerSecond: number, slow: boolean, isHeld: boolean): boolean {
    const owed = !isHeld && (this.wantsDrain || this.waiting.length > 0);
    if (!owed || this.readMs < 0 || (this.sendWindow > 0 && !slow)) {
      this.readMs = owed ? nowMs : -1;
      this.readFrom = this.sent;
      return false;
    }
    const elapsedMs = nowMs - this.readMs;
    if (elapsedMs < H2.rateWindowMs) return false;
    const few = (this.sent - this.readFrom) * 1_000 < bytesPerSecond * elapsedMs;
    this.readMs = nowMs;
    this.readFrom = this.sent;
    return few;
  }

  /** The same of a peer that owes us a body. Of a time in which nothing came it is asked how long that may last. */
  sendsTooSlowly(nowMs: number, bytesPerSecond: number, owed: boolean): boolean {
    if (!owed || this.bodyMs < 0) {
      this.bodyMs = owed ? nowMs : -1;
      this.#bodyRestedMs = 0;
      this.bodyFrom = this.received;
      return false;
    }
    const elapsedMs = nowMs - this.bodyMs;
    if (elapsedMs < H2.rateWindowMs) return false;
    const moved = this.received - this.bodyFrom;
    this.#bodyRestedMs = moved > 0 ? 0 : this.#bodyRestedMs + elapsedMs;
    this.bodyMs = nowMs;
    this.bodyFrom = this.received;
    if (moved === 0) return this.#bodyRestedMs >= HTTP_RELAY.bodyRestMs;
    return moved * 1_000 < bytesPerSecond * elapsedMs;
  }

  /** The session forgets it. */
  close(): void {
    this.over = true;
    if (this.#held.length > 0) this.owner.returnConnectionWindow(this.#held.length);
    this.#held.clear();
    this.waiting.clear();
    this.trailersWait = this.#trailersHeld = null;
  }
}

/** What a stream that cannot be completed is reset with. */
function codeFor(failure: Failure): number {
  switch (failure.code) {
    case "malformed":
      return C.PROTOCOL_ERROR;
    case "drain":
      return failure.unprocessed ? C.REFUSED_STREAM : C.CANCEL;
    case "reset":
    case "stream_reset":
    case "timeout":
    case "too_large":
      return C.CANCEL;
    default:
      return C.INTERNAL_ERROR;
  }
}
