// A client's connection that speaks HTTP/2: requests in, answers out. Made by a listener for a wire that agreed upon `h2`, or
// that began with the preface. It serves, announces its end (GOAWAY with a last stream that excludes nothing), drains (the real
// one, once what was under way has come), and ends when its last stream is over.
//
// Invariant: a request reaches the taker only if it is well formed, within its limits, and can be written as HTTP/1.1 and be
// read there as the same.

import type { HttpLimitsPlan, HttpTimeoutsPlan } from "../../../shared/http-plan.ts";
import { H2 } from "../../../shared/limits.ts";
import type {
  ClientConnection,
  Failure,
  RequestTaker,
  ServerConnection,
  ServerEvents,
  ServerSetup,
} from "../exchange.ts";
import { RequestHead, ResponseHead, UNKNOWN_LENGTH } from "../message/heads.ts";
import { ENDED, RESET_BY_PEER } from "./closed-streams.ts";
import * as C from "./constants.ts";
import * as Guard from "./guards.ts";
import { BROKEN, TOO_LARGE } from "./hpack/decoder.ts";
import { refusedRequest } from "./refused-request.ts";
import { readRequest } from "./section.ts";
import { ServerStream } from "./server-stream.ts";
import { Session } from "./session.ts";
import type { Stream } from "./stream.ts";
import { writeResponse } from "./write-section.ts";

/** Heads of exchanges that are over, for the next ones of this worker. */
const heads: RequestHead[] = [];
/** Refused: the answer has no fields. */
const refusal = new ResponseHead();

const DRAIN_PING = new TextEncoder().encode("draining");

const SERVING = 0;
/** The first GOAWAY was sent, and a PING; streams that come are still served. */
const ANNOUNCED = 1;
/** The second was sent. */
const DRAINING = 2;

export class Http2Server extends Session implements ServerConnection {
  readonly connection: ClientConnection;
  readonly #take: RequestTaker;
  readonly #events: ServerEvents;
  readonly #limits: HttpLimitsPlan;
  readonly #timeouts: HttpTimeoutsPlan;
  #phase = SERVING;
  /** When a sweep first saw that; -1: none has. */
  #announcedMs = -1;
  /** Requests so far. */
  #requests = 0;
  /** Streams that the client may not open any more are above this. */
  #lastTaken: number = C.MAXIMUM;
  /** The highest of those that it opened all the same, since it did not know yet. */
  #lastIgnored = 0;
  /** When the last request ended, or the connection began. */
  #idleMs: number;
  /** When a sweep first saw the field block that is under way; -1: there is none. */
  #blockMs = -1;
  #failure: Failure | null = null;
  /** Bytes that had been sent on the connection at the last look at its progress. */
  #markMs: number;
  #markSent = 0;
  #slow = false;

  constructor(setup: ServerSetup) {
    const { limits, nowMs } = setup;
    super(setup.wire, {
      server: true,
      headBytes: limits.headBytes,
      headFields: limits.headFields,
      windowBytes: H2.connectionWindowBytes,
      nowMs,
      settings: [
        [C.SETTINGS_MAX_CONCURRENT_STREAMS, limits.streams],
        [C.SETTINGS_INITIAL_WINDOW_SIZE, H2.streamWindowBytes],
        [C.SETTINGS_MAX_HEADER_LIST_SIZE, limits.headBytes],
        [C.SETTINGS_ENABLE_CONNECT_PROTOCOL, 1],
      ],
    });
    this.connection = setup.connection;
    this.#take = setup.take;
    this.#events = setup.events;
    this.#limits = limits;
    this.#timeouts = setup.timeouts;
    this.#idleMs = this.#markMs = nowMs;
  }

  // Requests.

  protected onNewHeaders(
    id: number,
    end: boolean,
    dependency: number,
    bytes: Uint8Array,
    from: number,
    to: number,
  ): void {
    if ((id & 1) === 0)
      return this.onConnectionError(C.PROTOCOL_ERROR, "HEADERS on a stream of the server");
    const head = heads.pop() ?? new RequestHead();
    head.clear();
    const outcome = this.decoded(this.decoder.decode(bytes, from, to, head.fields));
    if (outcome === BROKEN) return;
    if (id > this.#lastTaken) {
      this.#lastIgnored = id;
      this.refuse(id, C.REFUSED_STREAM);
      return this.keepHead(head);
    }
    this.last = id;
    if (dependency === id) {
      this.refuse(id, C.PROTOCOL_ERROR);
      return this.keepHead(head);
    }
    if (this.streams.size >= this.#limits.streams) {
      this.refuse(id, C.REFUSED_STREAM);
      return this.keepHead(head);
    }
    if (outcome === TOO_LARGE) {
      this.#refuseHead(head, id, end, to - from);
      return this.keepHead(head);
    }
    const wrong = readRequest(head, end);
    if (wrong !== "") {
      this.#events.onRefused("http_malformed", wrong, refusedRequest(head, 400));
      this.refuse(id, C.PROTOCOL_ERROR);
      return this.keepHead(head);
    }
    this.#open(id, end, head);
  }

  #open(id: number, end: boolean, head: RequestHead): void {
    head.version = 20;
    const stream = new ServerStream(id, this, this.peerWindow, head);
    stream.hasHead = true;
    if (!end && head.contentLength !== UNKNOWN_LENGTH) stream.bodyLeft = head.contentLength;
    this.streams.set(id, stream);
    this.#requests++;
    this.guards.allow(Guard.USELESS, 2); // browsers send priorities with what they ask for
    const { requestsPerConnection } = this.#limits;
    if (requestsPerConnection > 0 && this.#requests >= requestsPerConnection) this.drain();
    stream.remoteEnded = end;
    this.#take(stream, head);
    if (end && !stream.over) this.remoteEnd(stream, null);
  }

  protected override isIdle(id: number): boolean {
    return super.isIdle(id) && ((id & 1) === 0 || id > this.#lastIgnored);
  }

  /** 431 as far as it can be said; the fields are in the table all the same. */
  #refuseHead(head: RequestHead, id: number, end: boolean, blockBytes: number): void {
    const bomb = this.decoder.sectionBytes > blockBytes * H2.bombFactor;
    this.#events.onRefused(
      bomb ? "http2_header_bomb" : "http_head_too_large",
      `fields of ${this.decoder.sectionBytes} bytes in ${blockBytes}`,
      refusedRequest(head, 431),
    );
    refusal.clear();
    refusal.status = 431;
    refusal.contentLength = 0;
    writeResponse(this.sender, id, refusal, true, false);
    if (!end) this.refuse(id, C.NO_ERROR);
    if (bomb) this.spend(Guard.RESETS);
  }

  protected onStreamHeaders(
    stream: Stream,
    end: boolean,
    bytes: Uint8Array,
    from: number,
    to: number,
  ): void {
    this.takeTrailers(stream, end, bytes, from, to);
  }

  protected onLocalEnd(stream: Stream): void {
    // The answer is whole. What is left of the request is of no use to anybody, unless both directions live apart.
    if (stream.remoteEnded) this.closeStream(stream, ENDED);
    else if (!(stream as ServerStream).upgraded) this.resetStream(stream, C.NO_ERROR);
  }

  protected onPeerReset(stream: Stream, code: number): void {
    this.closeStream(stream, RESET_BY_PEER);
    const message = `the client reset the stream (${C.errorName(code)})`;
    stream.tellFailure({ code: "reset", message, unprocessed: false });
    this.spend(Guard.RESETS);
  }

  protected onStreamOver(stream: Stream): void {
    this.keepHead((stream as ServerStream).head);
    if (this.streams.size > 0) return;
    this.#idleMs = this.nowMs;
    if (this.#phase === DRAINING) this.finish();
  }

  /** For another request, once this one's exchange is over. */
  keepHead(head: RequestHead): void {
    if (heads.length < H2.headsKept && head.fields.arena.length <= H2.headKeptBytes)
      heads.push(head);
  }

  // The connection.

  protected onPeerSettings(): void {}

  protected onPeerSetting(): void {}

  /** Of a client: it opens no streams any more. */
  onGoAway(): void {
    this.drain();
  }

  onPingAck(): void {
    if (this.#phase === ANNOUNCED) this.#drainNow();
    else this.spend(Guard.PINGS);
  }

  onEnd(): void {
    for (const stream of this.streams.values()) {
      if (stream.remoteEnded) continue;
      this.closeStream(stream, RESET_BY_PEER);
      stream.tellFailure({
        code: "closed",
        message: "the client ended the connection",
        unprocessed: false,
      });
    }
    if (this.streams.size === 0) this.finish();
    else if (this.isOpen) this.#drainNow();
  }

  drain(): void {
    if (this.#phase !== SERVING || !this.isOpen) return;
    this.#phase = ANNOUNCED;
    this.sender.output.goAway(C.MAXIMUM, C.NO_ERROR, "");
    this.sender.output.ping(false, DRAIN_PING, 0);
  }

  /** The last sweep may be long ago, and a client that does not answer has its whole time. */
  #sweepAnnounced(nowMs: number): void {
    if (this.#announcedMs < 0) this.#announcedMs = nowMs;
    else if (nowMs - this.#announcedMs >= H2.drainPingMs) this.#drainNow();
  }

  #drainNow(): void {
    this.#phase = DRAINING;
    this.#lastTaken = this.last;
    this.sender.output.goAway(this.last, C.NO_ERROR, "");
    if (this.streams.size === 0) this.finish();
  }

  protected onAbuse(kind: number): void {
    this.#events.onRefused(Guard.refusalOf(kind), `too many ${Guard.guardName(kind)}`);
  }

  protected onPeerFault(code: number, message: string): void {
    this.#failure = {
      code: "malformed",
      message: `${C.errorName(code)}: ${message}`,
      unprocessed: false,
    };
    if (code !== C.ENHANCE_YOUR_CALM)
      this.#events.onRefused("http_malformed", this.#failure.message);
  }

  protected onGone(failure: Failure | null): void {
    this.#events.onGone(this.#failure ?? failure);
  }

  sweep(nowMs: number): void {
    if (!this.sweepConnection(nowMs)) return;
    const { headMs, keepaliveMs, lifetimeMs } = this.#timeouts;
    if (this.#phase === ANNOUNCED) this.#sweepAnnounced(nowMs);
    if (!this.isOpen) return;
    if (!this.reader.inBlock) this.#blockMs = -1;
    else if (this.#blockMs < 0) this.#blockMs = nowMs;
    if (!this.peerSettled && nowMs - this.startedMs >= headMs) return this.#giveUp("the preface");
    if (this.#blockMs >= 0 && nowMs - this.#blockMs >= headMs) return this.#giveUp("a field block");
    if (lifetimeMs > 0 && nowMs - this.startedMs >= lifetimeMs) this.drain();
    if (this.streams.size > 0) return this.#sweepStreams(nowMs);
    if (nowMs - this.#idleMs >= keepaliveMs) this.drain();
  }

  /** Senders of bodies and readers of answers that hardly move. */
  #sweepStreams(nowMs: number): void {
    const minimum = this.#limits.minBytesPerSecond;
    if (minimum === 0) return;
    const elapsedMs = nowMs - this.#markMs;
    if (elapsedMs >= H2.rateWindowMs) {
      this.#slow = (this.sender.sent - this.#markSent) * 1_000 < minimum * elapsedMs;
      this.#markMs = nowMs;
      this.#markSent = this.sender.sent;
    }
    // Each direction waits for the other's WINDOW_UPDATE, too.
    const isHeld = this.wire.isHeldUp === true || this.wire.isHeldDown === true;
    for (const each of this.streams.values()) {
      const stream = each as ServerStream;
      if (stream.over) continue;
      if (stream.readsTooSlowly(nowMs, minimum, this.#slow, isHeld))
        this.#tooSlow(stream, "an answer was read too slowly");
      else if (stream.sendsTooSlowly(nowMs, minimum, !isHeld && stream.owesBody))
        this.#tooSlow(stream, "a body came too slowly");
    }
  }

  #tooSlow(stream: ServerStream, message: string): void {
    this.#events.onRefused("http_slow", message);
    const failure: Failure = { code: "timeout", message, unprocessed: false };
    const isAnswered = stream.answered;
    if (!isAnswered) {
      refusal.clear();
      refusal.status = 408;
      refusal.contentLength = 0;
      writeResponse(this.sender, stream.id, refusal, true, false);
    }
    this.resetStream(stream, isAnswered ? C.CANCEL : C.NO_ERROR);
    stream.tellFailure(isAnswered ? failure : { ...failure, answered: 408 });
  }

  #giveUp(what: string): void {
    const message = `${what} did not come in time`;
    this.#failure = { code: "timeout", message, unprocessed: false };
    this.#events.onRefused("http_head_timeout", message);
    this.sender.output.goAway(this.last, C.NO_ERROR, message);
    this.finish();
    this.endStreams("timeout", message);
  }
}
