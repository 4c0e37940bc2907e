// A client's connection that speaks HTTP/1.1: one exchange at a time, in order. What the client sends is read here; answers are
// written by answer.ts. Made by listeners (ServerSetup), which call `sweep`.
//
// Invariants:
// 1. A head is parsed only when the exchange before it is over and the wire takes more. Bytes that come too early are held, and
//    the wire is paused: at most two reads of it are held.
// 2. The stream tells its events nothing after its answer is complete, after `reset` or after a failure.
// 3. `onGone` is told once.

import { H1 } from "../../../shared/limits.ts";
import type { Refusal } from "../../../shared/messages.ts";
import type { WireHandler } from "../../wire/wire.ts";
import type {
  ClientConnection,
  ClientStream,
  Failure,
  RequestEvents,
  ServerConnection,
  ServerSetup,
} from "../exchange.ts";
import type { Fields } from "../message/fields.ts";
import type { RequestHead, ResponseHead } from "../message/heads.ts";
import { Answer } from "./answer.ts";
import { BodyReader } from "./body-reader.ts";
import * as failures from "./failures.ts";
import { Inlet } from "./inlet.ts";
import { OUTPUT } from "./output.ts";
import { Persistence } from "./persistence.ts";
import { type ReaderPool, requestReaders } from "./reader-pool.ts";
import { refusalAnswer, refusalReason, refusedRequest } from "./refusal-answers.ts";
import type { RequestReader } from "./request-reader.ts";
import { MORE, REFUSED, type Refused, UNANSWERED } from "./section-reader.ts";
import {
  BODY,
  DEAF,
  DISCARD,
  GONE,
  HEAD,
  OFFER,
  REST,
  TUNNEL,
  WAITS_FOR,
  WHOLE,
} from "./server-states.ts";
import * as watch from "./watch.ts";

export class Http1Server implements ServerConnection, ClientStream, WireHandler {
  readonly connection: ClientConnection;
  events: RequestEvents = failures.IGNORED;
  readonly #setup: ServerSetup;
  readonly #readers: ReaderPool<RequestReader>;
  readonly #answer: Answer;
  readonly #inlet: Inlet;
  readonly #watch: watch.Watch;
  readonly #persistence: Persistence;
  #state = REST;
  #reader: RequestReader | null = null;
  #body: BodyReader | null = null;
  /** Of DISCARD: how much of it is read. */
  #patience = 0;
  /** The client's FIN came. */
  #ended = false;
  /** Of TUNNEL: the stream's events know of it. */
  #endTold = false;
  /** 100 was asked for, and nothing has been answered. */
  #continueDue = false;
  /** By the taker: its body is not read. */
  #paused = false;
  /** #process is at work. */
  #processing = false;
  #scheduled = false;
  readonly #goOn = (): void => {
    this.#scheduled = false;
    OUTPUT.enter();
    this.#release();
    OUTPUT.leave();
  };

  constructor(setup: ServerSetup) {
    this.#setup = setup;
    this.connection = setup.connection;
    this.#readers = requestReaders(setup.limits);
    this.#answer = new Answer(setup.wire);
    this.#inlet = new Inlet(setup.wire);
    this.#watch = new watch.Watch(setup.limits, setup.timeouts, setup.nowMs);
    this.#persistence = new Persistence(setup.limits.requestsPerConnection);
    setup.wire.handler = this;
  }

  // What the wire tells.

  onData(bytes: Uint8Array): void {
    if (this.#inlet.queues(bytes)) return;
    OUTPUT.enter();
    this.#process(bytes);
    OUTPUT.leave();
  }

  onDrain(): void {
    const wasFull = this.#answer.drained();
    if (!wasFull) return;
    OUTPUT.enter();
    this.events.onClientDrain();
    OUTPUT.leave();
    if (this.#state === REST) this.#releaseSoon();
  }

  onEnd(): void {
    this.#ended = true;
    if (!this.#inlet.holds) this.#tellEnd();
  }

  onClose(error: (Error & { code?: string }) | null): void {
    // Nobody is left to write to, which is no failure of a tunnel whose client has said all.
    const isInOrder = error === null || (this.#endTold && error.code === "EPIPE");
    this.#gone(isInOrder ? null : failures.failureOf(error));
  }

  // What comes in.

  #process(bytes: Uint8Array): void {
    const end = bytes.length;
    let at = 0;
    this.#processing = true;
    while (at < end && at >= 0) at = this.#step(bytes, at, end);
    this.#processing = false;
    if (this.#ended && !this.#inlet.holds) this.#tellEnd();
  }

  /** @returns the position that was come to; -1: nothing of the rest is read now. */
  #step(bytes: Uint8Array, at: number, end: number): number {
    switch (this.#state) {
      case REST:
        // Whoever does not read the answers is not read any more.
        if (this.#answer.full) return this.#hold(bytes, at);
        this.#reader = this.#readers.take();
        this.#state = HEAD;
        return this.#readHead(bytes, at, end);
      case HEAD:
        return this.#readHead(bytes, at, end);
      case BODY:
        return this.#paused ? this.#hold(bytes, at) : this.#readBody(bytes, at, end);
      case TUNNEL:
        if (this.#paused) return this.#hold(bytes, at);
        this.events.onRequestBody(at === 0 ? bytes : bytes.subarray(at));
        return end;
      case DISCARD:
        return this.#discard(bytes, at, end);
      case WHOLE:
      case OFFER:
        return this.#hold(bytes, at);
      default:
        return -1;
    }
  }

  #hold(bytes: Uint8Array, at: number): number {
    this.#inlet.hold(bytes, at);
    return -1;
  }

  /** Goes on with what is held, and then with the wire. */
  #release(): void {
    const inlet = this.#inlet;
    const held = inlet.take();
    if (held !== null) this.#process(held);
    if (inlet.holds || this.#paused || this.#state === GONE) return;
    if (this.#ended && this.#state === TUNNEL) this.#tellEnd();
    inlet.go();
  }

  /** As `release`, but not within a call of whoever has the stream. */
  #releaseSoon(): void {
    if (this.#scheduled || (!this.#inlet.stopped && !this.#ended)) return;
    this.#scheduled = true;
    queueMicrotask(this.#goOn);
  }

  #readHead(bytes: Uint8Array, at: number, end: number): number {
    const reader = this.#reader!;
    const next = reader.read(bytes, at, end);
    if (next === MORE) return end;
    if (next === REFUSED) {
      this.#refuse(reader.refusal);
      return -1;
    }
    this.#begin(reader);
    return this.#state === GONE ? -1 : next;
  }

  #begin({ head, keepAlive }: RequestReader): void {
    head.scheme = this.connection.tls === null ? "http" : "https";
    this.#continueDue = head.expectsContinue;
    this.#persistence.begin(head.method, keepAlive);
    this.#answer.expect(head);
    this.#state = this.#stateOf(head);
    this.#paused = this.#state !== WHOLE;
    this.#setup.take(this, head);
    if (this.#state === WHOLE && this.#answer.isUnderWay) this.events.onRequestEnd(null);
  }

  #stateOf({ contentLength, upgrade }: RequestHead): number {
    if (contentLength === 0) return upgrade === "" ? WHOLE : OFFER;
    this.#body ??= new BodyReader(this.#setup.limits);
    this.#body.begin(contentLength);
    return BODY;
  }

  #readBody(bytes: Uint8Array, at: number, end: number): number {
    const body = this.#body!;
    const next = body.next(bytes, at, end);
    this.#continueDue = false;
    if (body.refusal !== null) {
      this.#refuse(body.refusal);
      return -1;
    }
    if (body.complete) this.#state = WHOLE;
    if (body.end > body.start) this.events.onRequestBody(bytes.subarray(body.start, body.end));
    if (body.complete && this.#answer.isUnderWay) this.events.onRequestEnd(body.trailers);
    return this.#state === GONE ? -1 : next;
  }

  #discard(bytes: Uint8Array, at: number, end: number): number {
    const body = this.#body!;
    const next = body.next(bytes, at, end);
    this.#patience -= next - at;
    if (body.complete) this.#nextExchange();
    else if (body.refusal !== null || this.#patience <= 0) this.#linger();
    return next;
  }

  /** Nothing that was received is unread. */
  #tellEnd(): void {
    switch (this.#state) {
      case REST:
        return this.#linger();
      case HEAD:
      case DISCARD:
        this.#persistence.end();
        return this.#linger();
      case BODY:
        return this.#cut(failures.CUT_BODY);
      case WHOLE:
      case OFFER:
        // It may still want the answer (RFC 9112 section 9.6).
        this.#persistence.end();
        return;
      case TUNNEL:
        this.#ended = false; // told once
        this.#endTold = true;
        return this.events.onRequestEnd(null);
      default:
    }
  }

  /** An exchange is: of a tunnel, until both directions have ended. */
  get #isUnderWay(): boolean {
    return this.#answer.isUnderWay || (this.#state === TUNNEL && !this.#endTold);
  }

  // What goes out: ClientStream.

  sendInformational(head: ResponseHead): void {
    if (!this.#answer.takesInformational) return;
    if (head.status === 100) {
      if (!this.#continueDue) return; // it was sent, or not asked for
      this.#continueDue = false;
    }
    if (!this.#answer.sendInformational(head)) this.#cut(failures.UNWRITABLE);
  }

  sendHead(head: ResponseHead): void {
    if (!this.#answer.isUnderWay || this.#answer.isBegun) return;
    if (head.status === 101 && this.#state !== OFFER) return this.#cut(failures.UNASKED_UPGRADE);
    const isWhole = this.#state === WHOLE || this.#state === OFFER;
    // Whoever was promised the connection may have the next request on it when it turns out (RFC 9112 section 9.6).
    const isTooMuch = !isWhole && this.#body!.mayExceed(H1.discardMaxBytes);
    if (isTooMuch || this.#continueDue) this.#persistence.end();
    this.#persistence.answer();
    this.#continueDue = false;
    if (!this.#answer.sendHead(head, this.#persistence.over)) return this.#cut(failures.UNWRITABLE);
    if (this.#answer.endsWithConnection) this.#persistence.end();
    if (head.status === 101) this.#state = TUNNEL;
    else if (this.#answer.isComplete) this.#answered();
  }

  sendBody(bytes: Uint8Array): boolean {
    return this.#answer.sendBody(bytes);
  }

  sendEnd(trailers: Fields | null): void {
    if (!this.#answer.isBegun || this.#answer.isComplete) return;
    if (!this.#answer.sendEnd(trailers)) return this.#cut(failures.UNWRITABLE);
    if (this.#state !== TUNNEL) return this.#answered();
    OUTPUT.flush();
    this.#setup.wire.end();
  }

  reset(failure: Failure): void {
    if (!this.#isUnderWay) return;
    this.events = failures.IGNORED;
    this.#cut(failure);
  }

  pause(): void {
    if (!this.#isUnderWay) return;
    this.#paused = true;
    this.#inlet.stop();
  }

  resume(): void {
    if (!this.#isUnderWay || !this.#paused) return;
    this.#paused = false;
    if (this.#continueDue && !this.#inlet.holds && !this.#answer.isBegun) {
      this.#continueDue = false;
      this.#answer.sendContinue();
    }
    if (!this.#processing) this.#releaseSoon();
  }

  /** The answer is complete. */
  #answered(): void {
    this.events = failures.IGNORED;
    if (this.#state === WHOLE || this.#state === OFFER) return this.#nextExchange();
    if (this.#persistence.over) return this.#linger();
    // The rest of the body comes, and is not wanted.
    this.#patience = H1.discardMaxBytes;
    this.#state = DISCARD;
    this.#paused = false;
    this.#releaseSoon();
  }

  #nextExchange(): void {
    this.#releaseReader();
    if (this.#persistence.over) return this.#linger();
    this.#answer.forget();
    this.#state = REST;
    this.#body = null;
    this.#paused = false;
    if (!this.#processing) this.#releaseSoon();
  }

  #releaseReader(): void {
    if (this.#reader !== null) this.#readers.give(this.#reader);
    this.#reader = null;
  }

  // Ends.

  /** The client reads what was sent, and says that it has by ending too, or is given up (RFC 9112 section 9.6). */
  #linger(): void {
    if (this.#state >= DEAF) return;
    this.#state = DEAF;
    this.#inlet.take();
    this.#paused = false;
    OUTPUT.flush();
    this.#setup.wire.end();
    this.#releaseSoon();
  }

  /** The client broke the rules: it is told if it can be. */
  #refuse({ status, message }: Refused, reason: Refusal = refusalReason(status)): void {
    const { events } = this;
    const isBegun = this.#answer.isBegun;
    const failure = failures.ofStatus(status, message, !isBegun && status !== UNANSWERED);
    const request = this.#answer.isUnderWay ? undefined : refusedRequest(status, this.#reader!);
    this.#setup.events.onRefused(reason, message, request);
    if (isBegun) return this.#cut(failure);
    this.events = failures.IGNORED;
    this.#answer.abandon();
    if (status !== UNANSWERED) OUTPUT.send(this.#answer, refusalAnswer(status));
    this.#linger();
    events.onRequestFailure(failure);
  }

  /** At once. An exchange under way is told. */
  #cut(failure: Failure | null): void {
    OUTPUT.drop(this.#answer);
    this.#setup.wire.reset();
    this.#gone(failure);
  }

  #gone(failure: Failure | null): void {
    if (this.#state === GONE) return;
    const { events } = this;
    const wasUnderWay = this.#isUnderWay;
    this.events = failures.IGNORED;
    this.#answer.abandon();
    this.#state = GONE;
    this.#inlet.take();
    if (wasUnderWay) events.onRequestFailure(failure ?? failures.CLOSED);
    this.#releaseReader(); // its head was the exchange's until now
    this.#setup.events.onGone(failure);
  }

  drain(): void {
    this.#persistence.draining = true;
  }

  destroy(): void {
    if (this.#state !== GONE) this.#cut(failures.DRAINED);
  }

  sweep(nowMs: number): void {
    switch (this.#look(nowMs)) {
      case watch.RESTED:
        return this.#linger();
      case watch.HEAD_LATE:
        if (this.#reader!.isBlank) return this.#linger();
        return this.#refuse({ status: 408, message: "a head took too long" }, "http_head_timeout");
      case watch.BODY_SLOW:
        return this.#refuse({ status: 408, message: "a body came too slowly" }, "http_slow");
      case watch.READER_SLOW:
        this.#setup.events.onRefused("http_slow", failures.READ_SLOWLY.message);
        return this.#cut(failures.READ_SLOWLY);
      case watch.LINGERED:
        return this.#cut(null);
      case watch.OLD:
        return this.drain();
      default:
    }
  }

  /** The answer has begun before the body's end: what the client sends, and when, may depend on it. */
  get #converses(): boolean {
    return this.#answer.isBegun && this.#answer.isUnderWay;
  }

  #look(nowMs: number): number {
    if (this.#state === GONE) return watch.FINE;
    const { pending, isHeldUp = false, isHeldDown = false } = this.#setup.wire;
    const isHeld = this.#paused || this.#inlet.stopped || isHeldUp;
    return this.#watch.look(nowMs, {
      waitsFor: WAITS_FOR[this.#state]!,
      requests: this.#persistence.requests,
      isDraining: this.#persistence.draining,
      sendsFreely: !isHeld && !this.#continueDue && !this.#converses,
      received: this.#inlet.received,
      written: this.#answer.written,
      pending,
      isHeldDown,
    });
  }
}
