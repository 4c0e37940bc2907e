// A client's connection that speaks HTTP/3: requests in, answers out. Made by a client of the gateway for a QUIC connection that
// agreed upon `h3`. It serves, announces its end (GOAWAY with an id that excludes nothing), drains (the real one, once what was
// under way has come), rests until its last answer has reached the client, and ends.
//
// Invariant: a request reaches the taker only if it is well formed, within its limits, and can be written as HTTP/1.1 and be
// read there as the same.

import type { HttpLimitsPlan, HttpTimeoutsPlan } from "../../../shared/http-plan.ts";
import { H2, H3 } from "../../../shared/limits.ts";
import type { QuicConnection, QuicStream } from "../../quic/transport.ts";
import { SILENT } from "../../wire/handler.ts";
import type {
  ClientConnection,
  Failure,
  RequestTaker,
  ServerConnection,
  ServerEvents,
} from "../exchange.ts";
import { Pace } from "../h1/pace.ts";
import * as Guard from "../h2/guards.ts";
import { refusedRequest } from "../h2/refused-request.ts";
import { readRequest } from "../h2/section.ts";
import { RequestHead, ResponseHead } from "../message/heads.ts";
import { Connection } from "./connection.ts";
import * as C from "./constants.ts";
import { ServerStream, type ServerStreamOwner } from "./server-stream.ts";
import type { Stream } from "./stream.ts";

/** Heads of exchanges that are over, for the next ones of this worker. */
const heads: RequestHead[] = [];
/** Refused: the answer has no fields. */
const refusal = new ResponseHead();

/** As ServerSetup, without a wire. */
export interface Http3ServerSetup {
  readonly quic: QuicConnection;
  readonly connection: ClientConnection;
  readonly take: RequestTaker;
  readonly events: ServerEvents;
  readonly limits: HttpLimitsPlan;
  readonly timeouts: HttpTimeoutsPlan;
  readonly nowMs: number;
}

const VERSION = 30;

const SERVING = 0;
/** The first GOAWAY was sent; streams that come are still served. */
const ANNOUNCED = 1;
/** The second was sent. */
const DRAINING = 2;

/** Of a GOAWAY that excludes nothing (RFC 9114 section 5.2): no client gets that far, and it is exact. */
const NO_ID = 2 ** 52;

export class Http3Server extends Connection implements ServerConnection, ServerStreamOwner {
  readonly connection: ClientConnection;
  readonly #take: RequestTaker;
  readonly #events: ServerEvents;
  readonly #limits: HttpLimitsPlan;
  readonly #timeouts: HttpTimeoutsPlan;
  #phase = SERVING;
  /** Since when, as sweeps see it; -1: none has seen that it is ANNOUNCED. */
  #phaseMs = 0;
  /** Requests so far. */
  #requests = 0;
  /** The id behind the last stream that came. */
  #nextId = 0;
  /** Of the last sweep. */
  #nowMs: number;
  readonly #startedMs: number;
  /** When the last request ended, or the connection began. */
  #idleMs: number;
  /** Bytes of streams that are over. */
  #sentBefore = 0;
  readonly #reads = new Pace();
  readonly #guards: Guard.Guards;
  #abusive = false;

  constructor(setup: Http3ServerSetup) {
    const { limits, nowMs } = setup;
    const { headBytes, headFields } = limits;
    super(setup.quic, { server: true, headBytes, headFields, connectProtocol: true });
    this.connection = setup.connection;
    this.#take = setup.take;
    this.#events = setup.events;
    this.#limits = limits;
    this.#timeouts = setup.timeouts;
    this.#nowMs = this.#startedMs = this.#idleMs = nowMs;
    this.#guards = new Guard.Guards(nowMs);
  }

  // Requests.

  protected onRequestStream(quic: QuicStream): void {
    quic.handler = SILENT;
    const late = this.#phase === DRAINING && quic.id >= this.#nextId;
    if (late || this.streams.size >= this.#limits.streams) {
      quic.abort(C.H3_REQUEST_REJECTED);
      return this.#spend();
    }
    this.#nextId = Math.max(this.#nextId, quic.id + 4);
    const head = heads.pop() ?? new RequestHead();
    head.clear();
    const stream = new ServerStream(this, head, this.#nowMs);
    stream.attach(quic);
    this.streams.add(stream);
  }

  request(stream: ServerStream, ended: boolean): string {
    const { head } = stream;
    const wrong = readRequest(head, ended);
    if (wrong !== "") return wrong;
    head.version = VERSION;
    head.early = stream.early;
    stream.begin(ended);
    this.#requests++;
    const { requestsPerConnection } = this.#limits;
    if (requestsPerConnection > 0 && this.#requests >= requestsPerConnection) this.drain();
    this.#take(stream, head);
    if (ended) stream.tellEnd(null);
    return "";
  }

  malformed(stream: ServerStream, message: string): void {
    // One that was taken is in the log by its exchange.
    const request = stream.taken ? undefined : refusedRequest(stream.head, 400, VERSION);
    this.#events.onRefused("http_malformed", message, request);
    this.#spend();
  }

  /** 431, as far as it can be said. */
  refuseHead(stream: ServerStream): void {
    const message = `fields of more than ${this.headBytes} bytes, or too many`;
    this.#events.onRefused(
      "http_head_too_large",
      message,
      refusedRequest(stream.head, 431, VERSION),
    );
    this.#refuse(stream, 431);
  }

  /** The request's rest is not wanted. */
  #refuse(stream: ServerStream, status: number): void {
    refusal.clear();
    refusal.status = status;
    refusal.contentLength = 0;
    refusal.bodyless = true;
    stream.sendHead(refusal);
  }

  cancelled(): void {
    this.#spend();
  }

  /** A stream that ended before it was answered: each costs us something, and its client nothing (CVE-2023-44487). */
  #spend(): void {
    if (!this.isOpen || this.#guards.spend(Guard.RESETS)) return;
    this.#abusive = true;
    this.#events.onRefused("http3_rapid_reset", "too many cancelled streams");
    this.fail(C.H3_EXCESSIVE_LOAD, "too many cancelled streams");
  }

  protected onStreamOver(stream: Stream): void {
    const { head, whole } = stream as ServerStream;
    this.#sentBefore += stream.sent - stream.pending;
    if (whole) this.#guards.allow(Guard.RESETS, 1);
    if (heads.length < H2.headsKept && head.fields.arena.length <= H2.headKeptBytes)
      heads.push(head);
    if (this.streams.size > 0) return;
    this.#idleMs = this.#nowMs;
    if (this.#phase === DRAINING) this.#phaseMs = this.#nowMs;
  }

  // The connection.

  onSettings(): void {}

  onStreamsAvailable(): void {}

  /** Of a client it is about pushes, of which there are none; it means to open no more requests. */
  protected onDraining(): void {
    this.drain();
  }

  drain(): void {
    if (this.#phase !== SERVING || !this.isOpen) return;
    this.#phase = ANNOUNCED;
    this.#phaseMs = -1;
    this.sendGoAway(NO_ID);
  }

  #drainNow(): void {
    this.#phase = DRAINING;
    this.#phaseMs = this.#nowMs;
    this.sendGoAway(this.#nextId);
  }

  protected onGone(failure: Failure | null): void {
    if (failure?.code === "malformed" && !this.#abusive) {
      this.#events.onRefused("http_malformed", failure.message);
    }
    this.#events.onGone(failure);
  }

  sweep(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#guards.refill(nowMs);
    const { keepaliveMs, lifetimeMs } = this.#timeouts;
    // The last sweep may be long ago, and what is under way has its whole time.
    if (this.#phaseMs < 0) this.#phaseMs = nowMs;
    if (this.#phase === ANNOUNCED && nowMs - this.#phaseMs >= H3.drainMs) this.#drainNow();
    if (lifetimeMs > 0 && nowMs - this.#startedMs >= lifetimeMs) this.drain();
    if (this.streams.size > 0) return this.#sweepStreams(nowMs);
    // What QUIC has taken of the last answers may not have arrived.
    const isOver = this.#phase === DRAINING && nowMs - this.#phaseMs >= H3.lingerMs;
    if (isOver) this.finish(C.H3_NO_ERROR, "");
    else if (nowMs - this.#idleMs >= keepaliveMs) this.drain();
  }

  /** Senders of heads and bodies, and readers of answers, that hardly move. */
  #sweepStreams(nowMs: number): void {
    const { headMs } = this.#timeouts;
    const minimum = this.#limits.minBytesPerSecond;
    const slow = minimum > 0 && this.#readsTooSlowly(nowMs, minimum);
    for (const each of this.streams) {
      const stream = each as ServerStream;
      if (!stream.hasHead) {
        if (nowMs - stream.sinceMs >= headMs) this.#headTooLate(stream);
      } else if (minimum === 0) continue;
      else if (slow && stream.owesReading) this.#tooSlow(stream, "an answer was read too slowly");
      else if (stream.sendsTooSlowly(nowMs, minimum))
        this.#tooSlow(stream, "a body came too slowly");
    }
  }

  /** The connection as a whole: its streams share what the client's network takes. */
  #readsTooSlowly(nowMs: number, minimum: number): boolean {
    let sent = this.#sentBefore;
    let owes = false;
    for (const each of this.streams) {
      sent += each.sent - each.pending;
      owes ||= (each as ServerStream).owesReading;
    }
    if (owes) return !this.#reads.keeps(nowMs, sent, minimum);
    this.#reads.rest();
    return false;
  }

  #headTooLate(stream: ServerStream): void {
    const message = "a head did not come in time";
    this.#events.onRefused("http_head_timeout", message);
    stream.abort(C.H3_REQUEST_REJECTED);
  }

  #tooSlow(stream: ServerStream, message: string): void {
    this.#events.onRefused("http_slow", message);
    const failure: Failure = { code: "timeout", message, unprocessed: false };
    if (!stream.answered) {
      stream.tellFailure(failure);
      return this.#refuse(stream, 408);
    }
    stream.tellFailure(failure);
    stream.abort(C.H3_REQUEST_CANCELLED);
  }
}
