// A connection to a backend that speaks HTTP/1.1: one request at a time. Made by pools (BackendSetup), which keep it between
// requests.
//
//   REST ──request──▶ HEAD ──▶ BODY │ TO_END ──▶ REST, if all was in order, or GONE
//                      │ └──101──▶ TUNNEL
//
// Invariants:
// 1. A connection is used again only if its request was sent and its answer read to the last byte, and nothing came behind
//    it: what follows an answer that nobody asked for would be taken for the answer to the next request.
// 2. The events of a request are told nothing after its answer is complete, after `reset` or after a failure.
// 3. `onGone` is told once.

import { ProxyError } from "../../../shared/errors.ts";
import { H1 } from "../../../shared/limits.ts";
import type { Wire, WireHandler } from "../../wire/wire.ts";
import type {
  BackendConnection,
  BackendEvents,
  BackendSetup,
  BackendStream,
  Failure,
  ResponseEvents,
} from "../exchange.ts";
import type { Fields } from "../message/fields.ts";
import { type RequestHead, UNKNOWN_LENGTH } from "../message/heads.ts";
import { BodyReader } from "./body-reader.ts";
import { BodyWriter, CHUNKED, LENGTH, NO_BODY, RAW } from "./body-writer.ts";
import { failureOf, IGNORED, problem } from "./failures.ts";
import { sayFarewell } from "./farewell.ts";
import { INVALID, roomFor, writeRequest } from "./head-writer.ts";
import { OUTPUT, type OutputOwner } from "./output.ts";
import { type ReaderPool, responseReaders } from "./reader-pool.ts";
import { isBodyless, type ResponseReader } from "./response-reader.ts";
import { MORE, REFUSED } from "./section-reader.ts";

const REST = 0;
const HEAD = 1;
const BODY = 2;
/** The body ends where the connection does. */
const TO_END = 3;
const TUNNEL = 4;
/** The answer is complete; what becomes of the connection is decided when that was told. */
const ANSWERED = 5;
const GONE = 6;

export class Http1Backend implements BackendConnection, BackendStream, WireHandler, OutputOwner {
  readonly wire: Wire;
  full = false;
  written = 0;
  readonly #owner: BackendEvents;
  readonly #limits: BackendSetup["limits"];
  readonly #readers: ReaderPool<ResponseReader>;
  readonly #out = new BodyWriter(this);
  #events: ResponseEvents = IGNORED;
  #state = REST;
  #closing = false;
  #reader: ResponseReader | null = null;
  #body: BodyReader | null = null;
  #method = "";
  #upgrade = "";
  /** The whole request was sent. */
  #sent = true;
  /** By its head, the connection outlives the answer. */
  #keepAlive = false;
  #paused = false;
  /** Of TUNNEL: the events know of the backend's end. */
  #endTold = false;
  #interims = 0;

  constructor({ wire, events, limits }: BackendSetup) {
    this.wire = wire;
    this.#owner = events;
    this.#limits = limits;
    this.#readers = responseReaders(limits);
    wire.handler = this;
    events.onReady(this);
  }

  get free(): number {
    return this.#state === REST && !this.#closing ? 1 : 0;
  }

  get active(): number {
    return this.#state === REST || this.#state === GONE ? 0 : 1;
  }

  get closing(): boolean {
    return this.#closing;
  }

  // What goes out: BackendConnection and BackendStream.

  request(head: RequestHead, events: ResponseEvents): BackendStream {
    if (this.free === 0) throw new ProxyError("ERR_STATE", "this connection takes no request now");
    this.#state = HEAD;
    this.#events = events;
    this.#method = head.method;
    this.#upgrade = head.upgrade;
    this.#interims = 0;
    const from = OUTPUT.claim(this, roomFor(head.fields));
    const at = writeRequest(OUTPUT, from, head);
    if (at === INVALID) {
      queueMicrotask(() => this.#refuse(events));
      return this;
    }
    OUTPUT.used = at;
    this.#beginBody(head);
    return this;
  }

  #beginBody({ contentLength, upgrade }: RequestHead): void {
    this.#sent = contentLength === 0 && upgrade === "";
    // An upgrade's client of HTTP/2 or HTTP/3 keeps its stream open: its bytes are no body, and wait for the 101.
    const hasBody = contentLength !== 0 && upgrade === "";
    if (!hasBody) this.#out.begin(NO_BODY, 0);
    else if (contentLength === UNKNOWN_LENGTH) this.#out.begin(CHUNKED, 0);
    else this.#out.begin(LENGTH, contentLength);
    if (hasBody) OUTPUT.settle();
    else OUTPUT.hurry();
  }

  /** Nothing was sent: the connection is as good as before. */
  #refuse(events: ResponseEvents): void {
    if (this.#state !== HEAD || this.#events !== events) return;
    this.#events = IGNORED;
    this.#state = REST;
    this.#sent = true;
    events.onResponseFailure(UNWRITABLE);
    this.#changed();
  }

  sendBody(bytes: Uint8Array): boolean {
    return this.#sent ? true : this.#out.send(bytes);
  }

  sendEnd(trailers: Fields | null): void {
    if (this.#sent || this.#state === GONE) return;
    this.#sent = true;
    if (this.#state === TUNNEL) {
      OUTPUT.flush();
      this.wire.end();
    } else if (!this.#out.end(trailers)) this.#fail(UNWRITABLE);
  }

  reset(_failure: Failure): void {
    if (this.#state === REST || this.#state === GONE) return;
    this.#events = IGNORED;
    this.#cut(null);
  }

  pause(): void {
    if (this.#state === REST || this.#state === GONE || this.#paused) return;
    this.#paused = true;
    this.wire.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#state !== GONE) this.wire.resume();
  }

  close(): void {
    this.#closing = true;
    if (this.#state === REST) this.#leave();
  }

  destroy(): void {
    if (this.#state === GONE) return;
    this.#fail(DRAINED);
  }

  // What comes in.

  onData(bytes: Uint8Array): void {
    OUTPUT.enter();
    const end = bytes.length;
    for (let at = 0; at < end && at >= 0;) at = this.#step(bytes, at, end);
    OUTPUT.leave();
  }

  /** @returns the position that was come to; -1: the rest is of no use. */
  #step(bytes: Uint8Array, at: number, end: number): number {
    switch (this.#state) {
      case HEAD:
        return this.#readHead(bytes, at, end);
      case BODY:
        return this.#readBody(bytes, at, end);
      case TO_END:
      case TUNNEL:
        this.#events.onResponseBody(at === 0 ? bytes : bytes.subarray(at));
        return end;
      case REST:
        // Nobody asked: a notice that the connection is about to end (408), or worse.
        this.#cut(null);
        return -1;
      default:
        return -1;
    }
  }

  #readHead(bytes: Uint8Array, at: number, end: number): number {
    const reader = (this.#reader ??= this.#readers.take());
    const next = reader.read(bytes, at, end);
    if (next === MORE) return end;
    if (next === REFUSED) {
      const { status, message } = reader.refusal;
      this.#fail(problem(status === 431 ? "too_large" : "malformed", message));
      return -1;
    }
    const { head } = reader;
    if (head.status === 101) return this.#switch(reader, next);
    if (head.status < 200) return this.#tellInterim(reader, next);
    this.#reader = null;
    this.#keepAlive = reader.keepAlive;
    head.bodyless = isBodyless(head.status, this.#method);
    this.#begin(reader);
    const events = this.#events;
    if (this.#state === ANSWERED) this.#events = IGNORED;
    events.onResponse(head);
    this.#readers.give(reader);
    if (this.#state === ANSWERED) this.#settle(next < end);
    return (this.#state as number) === GONE ? -1 : next;
  }

  /** Which body follows (RFC 9112 section 6.3). */
  #begin({ head, chunked }: ResponseReader): void {
    if (this.#upgrade !== "") this.#sent = true; // it was not taken up, so there is no more
    const length = chunked ? UNKNOWN_LENGTH : head.contentLength;
    // The end of a body without bytes has none of its own.
    if (length === 0) head.bodyless = true;
    if (head.bodyless) this.#state = ANSWERED;
    else if (length === UNKNOWN_LENGTH && !chunked) this.#state = TO_END;
    else {
      this.#state = BODY;
      this.#body ??= new BodyReader(this.#limits);
      this.#body.begin(length);
    }
  }

  #tellInterim(reader: ResponseReader, next: number): number {
    if (++this.#interims > H1.interimMax) {
      this.#fail(TOO_MANY_INTERIMS);
      return -1;
    }
    reader.head.bodyless = true;
    this.#events.onInformational(reader.head);
    if (this.#state === GONE) return -1;
    reader.reset();
    return next;
  }

  #switch(reader: ResponseReader, next: number): number {
    if (!reader.accepts(this.#upgrade)) {
      this.#fail(UNASKED_UPGRADE);
      return -1;
    }
    this.#state = TUNNEL;
    this.#closing = true;
    this.#reader = null;
    this.#out.begin(RAW, 0);
    this.#events.onResponse(reader.head);
    this.#readers.give(reader);
    return (this.#state as number) === GONE ? -1 : next;
  }

  #readBody(bytes: Uint8Array, at: number, end: number): number {
    const body = this.#body!;
    const next = body.next(bytes, at, end);
    const { start, end: stop } = body;
    if (body.refusal !== null) this.#fail(problem("malformed", body.refusal.message));
    else if (stop > start) this.#events.onResponseBody(bytes.subarray(start, stop));
    if (body.complete && this.#state === BODY) this.#complete(next < end, body.trailers);
    return (this.#state as number) === GONE ? -1 : next;
  }

  /** @param extra bytes came behind the answer. */
  #complete(extra: boolean, trailers: Fields | null): void {
    const events = this.#events;
    this.#events = IGNORED;
    this.#state = ANSWERED;
    events.onResponseEnd(trailers);
    if (this.#state === ANSWERED) this.#settle(extra);
  }

  /** The answer is complete: rests, or goes. */
  #settle(extra: boolean): void {
    this.resume();
    if (!this.#sent || extra) return this.#cut(null);
    if (!this.#keepAlive || this.#closing) return this.#leave();
    this.#state = REST;
    this.#changed();
  }

  #changed(): void {
    if (this.#closing) this.#leave();
    else this.#owner.onChange(this);
  }

  onDrain(): void {
    if (!this.full) return;
    this.full = false;
    OUTPUT.enter();
    this.#events.onBackendDrain();
    OUTPUT.leave();
  }

  onEnd(): void {
    OUTPUT.enter();
    this.#tellEnd();
    OUTPUT.leave();
  }

  #tellEnd(): void {
    switch (this.#state) {
      case REST:
        return this.#leave();
      case HEAD:
        return this.#fail(this.#hasBegun ? CUT_HEAD : CLOSED);
      case TO_END:
        this.#keepAlive = false;
        return this.#complete(false, null);
      case TUNNEL:
        this.#endTold = true;
        return this.#events.onResponseEnd(null);
      default:
        return this.#fail(CUT_BODY);
    }
  }

  /** A byte of the answer came. */
  get #hasBegun(): boolean {
    return this.#reader !== null || this.#interims > 0;
  }

  onClose(error: (Error & { code?: string }) | null): void {
    if (this.#state === GONE) return;
    OUTPUT.enter();
    // Nobody is left to write to, which is no failure of a tunnel whose backend has said all.
    const isInOrder = error === null || (this.#endTold && error.code === "EPIPE");
    if (isInOrder || this.#state === REST) this.#end(null, IGNORED);
    else if (this.#state === HEAD && this.#hasBegun) this.#fail(CUT_HEAD);
    else this.#fail(failureOf(error));
    OUTPUT.leave();
  }

  // Ends.

  #fail(failure: Failure): void {
    this.#cut(failure, this.#events);
  }

  /** At once. @param events of the request that is under way and is to be told. */
  #cut(failure: Failure | null, events: ResponseEvents = IGNORED): void {
    OUTPUT.drop(this);
    this.wire.reset();
    this.#end(failure, events);
  }

  /** In order: nothing is under way. */
  #leave(): void {
    if (this.#state === GONE) return;
    OUTPUT.flush();
    sayFarewell(this.wire);
    this.#end(null, IGNORED);
  }

  #end(failure: Failure | null, events: ResponseEvents): void {
    if (this.#state === GONE) return;
    this.#state = GONE;
    this.#closing = true;
    this.#sent = true;
    this.#events = IGNORED;
    if (failure !== null) events.onResponseFailure(failure);
    if (this.#reader !== null) this.#readers.give(this.#reader);
    this.#reader = null;
    this.#owner.onGone(this, failure);
  }
}

const CLOSED = problem("closed", "the backend closed the connection before it answered");
const CUT_HEAD = problem("malformed", "the backend closed the connection within a head");
const CUT_BODY = problem("closed", "the backend closed the connection within a body");
const DRAINED = problem("drain", "this proxy is going away");
const UNWRITABLE = problem("internal", "the request cannot be written as HTTP/1.1");
const UNASKED_UPGRADE = problem("malformed", "the backend upgraded what it was not asked to");
const TOO_MANY_INTERIMS = problem("malformed", "too many answers of status 1xx");
