// An exchange: one request on its way from a client's stream to a backend's, and its answer on the way back. It is the one
// place where a client's side and a backend's side meet, whatever versions they speak. Created and kept by exchanges.ts.
//
//   FREE ──take──▶ WAITING ──a connection has room──▶ ASKING ──the answer's head──▶ ANSWERING ──its end──▶ FREE
//                   │    ▲                             │ │ │                            │
//                   │    └──────── sent again ─────────┘ │ └──101──▶ TUNNEL ──both ends─┼──▶ FREE
//                   └── an answer of this proxy's own ───┴── the client is gone, or the answer cannot be completed
//
// Invariants:
// 1. `#backend` is there exactly in ASKING, ANSWERING and TUNNEL; a pool has the exchange in its queue only in WAITING.
// 2. The client was sent nothing but 1xx before ANSWERING and TUNNEL; only until then is a request sent again.
// 3. Each exchange goes back to FREE once, by #over, which counts and logs it. The last call to the client's stream comes after
//    that, since the next request of its connection may come from within it.
// 4. Bytes are held here only in WAITING, and only those that were on their way when the client was paused.
// 5. What was learnt of a target is told to `#tries` before the next one is asked, or the exchange is over.

import { ProxyError } from "../../shared/errors.ts";
import type { Refusal } from "../../shared/messages.ts";
import type { Asker, Member } from "./backend/pool.ts";
import {
  ANSWERING,
  ASKING,
  FREE,
  mayBecome,
  type State,
  TUNNEL,
  WAITING,
} from "./exchange-states.ts";
import type {
  BackendStream,
  ClientStream,
  Failure,
  RequestEvents,
  ResponseEvents,
} from "./exchange.ts";
import { answerTimeoutMs } from "./grpc.ts";
import type { Client, ExchangeHost } from "./host.ts";
import { Fields } from "./message/fields.ts";
import type { RequestHead, ResponseHead } from "./message/heads.ts";
import { NO_STREAM, NOBODY } from "./nobody.ts";
import type { OwnAnswer, Route, RouteRefusal } from "./passage.ts";
import { Notes } from "./record.ts";
import * as retry from "./retry.ts";
import { Tries } from "./tries.ts";

export class Exchange implements RequestEvents, ResponseEvents, Asker {
  /** Its place among those under way; kept by exchanges.ts. */
  place = -1;
  readonly #host: ExchangeHost;
  readonly #notes = new Notes();
  readonly #tries: Tries;
  #state: State = FREE;
  #client: Client | null = null;
  #stream: ClientStream = NO_STREAM;
  #head: RequestHead | null = null;
  #route: Route | null = null;
  #backend: BackendStream | null = null;
  /** When the client's request was complete; Infinity: it is not. Of one that has a target. */
  #wholeMs = Infinity;
  /** The backend has the whole request. */
  #requestSent = false;
  /** Of a tunnel: the backend has ended its direction. */
  #answerDone = false;
  /** The backend takes no more of the request for now. */
  #full = false;
  #held: Uint8Array[] | null = null;
  #heldTrailers: Fields | null = null;
  /** When the backend had the whole request, or an upgrade was asked for. */
  #askedMs = 0;
  /** How long the answer's head may take from then on. */
  #responseMs = 0;
  #activeMs = 0;

  constructor(host: ExchangeHost) {
    this.#host = host;
    this.#tries = new Tries(host.targets);
  }

  /** A client's request came in. */
  take(client: Client, stream: ClientStream, head: RequestHead, now: number): void {
    const host = this.#host;
    this.#move(WAITING);
    this.#client = client;
    this.#stream = stream;
    this.#head = head;
    stream.events = this;
    this.#activeMs = now;
    this.#notes.begin(now);
    if (host.accessLog !== null) this.#notes.note(client, head);
    const { guide } = client;
    const route = guide.route(head);
    host.counters.requestBegan(this.#notes.counts(route));
    if (typeof route === "number") return this.#unroutable(route, head);
    this.#route = route;
    if (route.plan.group === null) return this.#answer(guide.answer(route, head));
    if (route.filters.length > 0 && this.#filter(route, head)) return;
    const { bodyBytes } = route.plan.limits;
    if (bodyBytes > 0 && head.contentLength > bodyBytes) return this.#tooLarge();
    if (guide.editRequest(route, head) !== null) return this.#unroutable(400, head);
    if (host.accessLog !== null) this.#notes.requestId = head.fields.get("x-request-id") ?? "";
    this.#responseMs = answerTimeoutMs(head.fields, route.plan.timeouts.responseMs);
    this.#wholeMs = head.contentLength === 0 && head.upgrade === "" ? now : Infinity;
    const { group, retries } = route.plan;
    this.#tries.begin(group, retries, now, host.plan.timeouts.connectMs);
    if (this.#tryNext(now)) return;
    const { reason, detail, retryMs } = this.#tries.lackAt(now);
    this.#refuse(503, reason, detail, retryMs);
  }

  #unroutable(status: RouteRefusal, head: RequestHead): void {
    // It comes again once the handshake is over: nobody is turned away.
    if (status === 425) return this.#answer(this.#host.errorAnswer(status, head));
    this.#refuse(status, status === 400 ? "http_malformed" : "no_route", head.authority);
  }

  /** @returns whether a filter has answered. */
  #filter(route: Route, head: RequestHead): boolean {
    for (const filter of route.filters) {
      const own = filter.answer(head);
      if (own !== null) {
        this.#answer(own);
        return true;
      }
      this.#stream = filter.wrap(this.#stream, head);
    }
    this.#stream.events = this;
    return false;
  }

  /** @returns whether there is another target; what follows may be over already. */
  #tryNext(now: number): boolean {
    if (!this.#tries.next(this.#client!.ip, now)) return false;
    this.#ask(false);
    return true;
  }

  /** @param fresh not on a connection that has rested. */
  #ask(fresh: boolean): void {
    const { pool } = this.#tries;
    const member = pool.take(fresh);
    if (member !== null) this.onMember(member);
    else if (!pool.wait(this)) this.#refuse(503, "http_queue", pool.name);
  }

  /** A connection has room for this request. */
  onMember(member: Member): void {
    const head = this.#head!;
    const host = this.#host;
    const { pool } = member;
    this.#move(ASKING);
    if (this.#route!.plan.host === "target") head.authority = pool.authority;
    head.scheme = pool.scheme;
    this.#tries.reused = member.served++ > 0;
    if (this.#tries.reused) host.counters.reused();
    if (host.accessLog !== null) this.#notes.connectMs = this.#elapsed();
    this.#activeMs = this.#askedMs = host.coarseMs;
    this.#full = false;
    const backend = (this.#backend = member.request(head, this));
    if (head.contentLength === 0 && head.upgrade === "") return this.#sent();
    for (const bytes of this.#held ?? []) this.#pass(bytes, backend);
    this.#held = null;
    if (this.#wholeMs < Infinity) {
      backend.sendEnd(this.#heldTrailers);
      this.#heldTrailers = null;
      this.#sent();
    } else if (head.upgrade === "") this.#stream.resume();
  }

  /** The backend has the whole request, and the time it may take to answer begins. */
  #sent(): void {
    this.#requestSent = true;
    this.#askedMs = this.#activeMs = this.#host.coarseMs;
  }

  onNoMember(failure: Failure): void {
    this.#broke(failure);
  }

  // What the client does.

  onRequestBody(bytes: Uint8Array): void {
    const { bodyBytes } = this.#route!.plan.limits;
    this.#notes.bytesUp += bytes.length;
    if (bodyBytes > 0 && this.#notes.bytesUp > bodyBytes && this.#state !== TUNNEL) {
      return this.#tooLarge();
    }
    if (this.#backend === null) (this.#held ??= []).push(new Uint8Array(bytes));
    else if (!this.#pass(bytes, this.#backend)) this.#stream.pause();
  }

  #pass(bytes: Uint8Array, backend: BackendStream): boolean {
    const { counters, coarseMs } = this.#host;
    this.#tries.bodyBegun = true;
    this.#activeMs = coarseMs;
    counters.bytesUp(this.#tries.slot, bytes.length);
    this.#client!.moved(bytes.length, 0);
    return !(this.#full = !backend.sendBody(bytes));
  }

  onRequestEnd(trailers: Fields | null): void {
    if (this.#wholeMs < Infinity) return; // its head said so
    this.#wholeMs = this.#host.coarseMs;
    if (trailers !== null) this.#client!.guide.editTrailers(this.#route!, trailers);
    if (this.#backend === null) {
      if (trailers !== null) (this.#heldTrailers = new Fields()).copy(trailers);
      return;
    }
    const backend = this.#backend;
    this.#sent();
    if (this.#answerDone) this.#over();
    backend.sendEnd(trailers);
  }

  onRequestFailure(failure: Failure): void {
    this.#notes.fail(failure);
    this.#dropBackend(failure);
    this.#over();
  }

  onClientDrain(): void {
    this.#backend?.resume();
  }

  // What the backend does.

  onInformational(head: ResponseHead): void {
    this.#activeMs = this.#host.coarseMs;
    this.#client!.guide.editResponse(this.#route!, head);
    this.#stream.sendInformational(head);
  }

  onResponse(head: ResponseHead): void {
    const host = this.#host;
    const { status } = head;
    if (status >= 400 && this.#tries.mayRepeat(status, this.#head!.method, host.coarseMs)) {
      return this.#repeat(head);
    }
    this.#tries.answered(status, (this.#activeMs = host.coarseMs));
    this.#notes.status = status;
    if (host.accessLog !== null) this.#notes.headMs = this.#elapsed();
    // An upgrade that is not accepted has no body, and no end of it is told.
    if (status !== 101 && this.#head!.upgrade !== "") {
      this.#wholeMs = host.coarseMs;
      this.#requestSent = true;
      this.#notes.status = head.status = retry.refusedUpgrade(status, this.#head!.version);
    }
    this.#client!.guide.editResponse(this.#route!, head);
    const stream = this.#stream;
    if (head.bodyless && status !== 101) this.#complete();
    else this.#move(status === 101 ? TUNNEL : ANSWERING);
    stream.sendHead(head);
    if (status === 101) stream.resume();
  }

  onResponseBody(bytes: Uint8Array): void {
    const { counters, coarseMs } = this.#host;
    this.#activeMs = coarseMs;
    this.#notes.bytesDown += bytes.length;
    counters.bytesDown(this.#tries.slot, bytes.length);
    this.#client!.moved(0, bytes.length);
    if (!this.#stream.sendBody(bytes)) this.#backend!.pause();
  }

  onResponseEnd(trailers: Fields | null): void {
    const stream = this.#stream;
    if (stream.bodyBytes !== undefined) return this.#completeFiltered(stream, trailers);
    if (this.#state === TUNNEL && this.#wholeMs === Infinity) this.#answerDone = true;
    else this.#complete();
    stream.sendEnd(trailers);
  }

  /** The filter sends the last of its body with the end, which the log is to tell, too. It has nobody to tell meanwhile. */
  #completeFiltered(stream: ClientStream, trailers: Fields | null): void {
    stream.events = NOBODY;
    stream.sendEnd(trailers);
    this.#complete();
  }

  onResponseFailure(failure: Failure): void {
    this.#backend = null;
    if (this.#state === ASKING) this.#broke(failure);
    else this.#cut(failure);
  }

  onBackendDrain(): void {
    this.#full = false;
    this.#stream.resume();
  }

  /** Ends it if it has timed out. A timeout of 0 is none. */
  sweep(now: number): void {
    const { responseMs, idleMs, totalMs } = this.#route!.plan.timeouts;
    if (this.#state === WAITING) {
      if (this.#tries.isLate(now)) this.#waitedTooLong();
    } else if (this.#isAsked && retry.isOver(this.#askedMs, this.#responseMs, now)) {
      this.#timedOut(this.#responseMs === responseMs ? retry.NO_ANSWER : retry.PAST_DEADLINE);
    } else if (retry.isOver(this.#activeMs, idleMs, now)) {
      const waitsForClient = this.#state === ASKING && !this.#isAsked && !this.#full;
      this.#timedOut(waitsForClient ? retry.CLIENT_RESTED : retry.STALLED);
    } else if (this.#state !== TUNNEL && retry.isOver(this.#notes.startedMs, totalMs, now)) {
      this.#timedOut(retry.tookTooLong(this.#wholeMs - this.#notes.startedMs, totalMs));
    }
  }

  /** The backend has all that it needs to answer. */
  get #isAsked(): boolean {
    return this.#state === ASKING && (this.#requestSent || this.#head!.upgrade !== "");
  }

  /** A target that has connections and no room on them is busy, not down. */
  #waitedTooLong(): void {
    const { pool } = this.#tries;
    pool.forget(this);
    if (pool.members === 0) this.#broke(retry.CONNECT_TIMEOUT);
    else this.#refuse(503, "http_queue", pool.name);
  }

  #timedOut(failure: Failure): void {
    this.#backend!.reset(failure);
    this.onResponseFailure(failure);
  }

  // What became of it.

  /** The target gives no answer, and there is no stream to it any more. */
  #broke(failure: Failure): void {
    const tries = this.#tries;
    const connected = this.#state === ASKING;
    if (connected && tries.isToBeResent(failure, this.#head!.method)) {
      this.#prepareAgain();
      return this.#ask(tries.renewed);
    }
    const now = this.#host.clock();
    const status = retry.statusOf(failure);
    const detail = `${tries.name}: ${failure.message}`;
    tries.failed(failure, now);
    if (connected ? tries.mayRepeat(status, this.#head!.method, now) : tries.mayReconnect(now)) {
      this.#prepareAgain();
      if (this.#tryNext(now)) return;
    }
    this.#notes.fail(failure);
    this.#refuse(status, retry.refusalOf(failure), detail);
  }

  /** An answer with this status is not passed on, but asked for elsewhere. */
  #repeat({ status, bodyless }: ResponseHead): void {
    // With a bodyless answer a backend that has the whole request is done; an upgrade that it refuses is whole.
    const isWhole = this.#requestSent || this.#head!.upgrade !== "";
    if (!bodyless || !isWhole) this.#backend!.reset(retry.TRIED_ELSEWHERE);
    this.#backend = null;
    const now = this.#host.clock();
    this.#tries.passedOver(status, now);
    this.#prepareAgain();
    if (!this.#tryNext(now)) this.#refuse(status, "target_down", "");
  }

  #prepareAgain(): void {
    this.#notes.retries++;
    this.#host.counters.retried(this.#notes.counted);
    if (this.#state === ASKING) this.#move(WAITING);
    if (this.#wholeMs === Infinity) this.#stream.pause();
    this.#requestSent = false;
  }

  #tooLarge(): void {
    if (this.#state >= ANSWERING) {
      this.#backend!.reset(retry.BODY_TOO_LARGE);
      return this.#cut(retry.BODY_TOO_LARGE);
    }
    this.#dropBackend(retry.BODY_TOO_LARGE);
    this.#refuse(413, "http_body_too_large", this.#client!.address);
  }

  /** The answer cannot be completed, and the client has a part of it. */
  #cut(failure: Failure): void {
    const stream = this.#stream;
    this.#notes.fail(failure);
    // An upgraded connection is the peers' own: how it ends is not for operators.
    if (this.#state !== TUNNEL) {
      this.#host.refused(retry.refusalOf(failure), `${this.#tries.name}: ${failure.message}`);
    }
    this.#over();
    stream.reset(failure);
  }

  #refuse(status: number, reason: Refusal, detail: string, retryMs?: number): void {
    this.#host.refused(reason, detail);
    this.#notes.refuse(reason, detail);
    this.#answer(this.#host.errorAnswer(status, this.#head, retryMs && retryMs / 1_000));
  }

  /** No target has it any more, or none ever had. */
  #answer({ head, body }: OwnAnswer): void {
    const stream = this.#stream;
    if (this.#head!.method === "HEAD" || body.length === 0) head.bodyless = true;
    this.#notes.status = head.status;
    this.#notes.bytesDown = head.bodyless ? 0 : body.length;
    this.#host.counters.answeredHere(this.#notes.counted, head.status);
    this.#over();
    stream.sendHead(head);
    if (head.bodyless) return;
    stream.sendBody(body);
    stream.sendEnd(null);
  }

  /** The backend has given its whole answer. */
  #complete(): void {
    if (!this.#requestSent) this.#backend!.reset(retry.ANSWERED_EARLY);
    this.#over();
  }

  /** Nobody wants an answer of the backend any more. The client was not answered, or is gone. */
  #dropBackend(failure: Failure): void {
    if (this.#backend !== null) this.#backend.reset(failure);
    else if (this.#tries.target !== null) this.#tries.pool.forget(this);
  }

  #elapsed(): number {
    return this.#host.clock() - this.#notes.startedMs;
  }

  #over(): void {
    const host = this.#host;
    const notes = this.#notes;
    this.#stream.events = NOBODY;
    host.counters.requestEnded(notes.counted, notes.status, this.#elapsed());
    if (host.accessLog !== null) {
      if (this.#state >= ANSWERING) notes.bytesDown = this.#stream.bodyBytes ?? notes.bytesDown;
      notes.record(host.accessLog, this.#tries.name, this.#elapsed());
    }
    if (this.#tries.end()) host.counters.retryRefused(notes.counted);
    this.#move(FREE);
    this.#clear();
    host.over(this);
  }

  #clear(): void {
    this.#client = this.#head = this.#route = this.#backend = null;
    this.#stream = NO_STREAM;
    this.#held = this.#heldTrailers = null;
    this.#requestSent = this.#answerDone = false;
  }

  #move(to: State): void {
    if (!mayBecome(this.#state, to)) {
      throw new ProxyError("ERR_STATE", `an exchange went from ${this.#state} to ${to}`);
    }
    this.#state = to;
  }
}
