// The exchanges of one listener in one worker: those under way, those that wait to be used again, and what all of them share.
// Invariant: `#live[e.place]` is e for every exchange that is under way. Called by listener.ts and by clients' connections.

import type { CounterWriter } from "../../shared/counters.ts";
import type { HttpPlan } from "../../shared/http-plan.ts";
import { HTTP_RELAY, SHEDDING } from "../../shared/limits.ts";
import type { Refusal } from "../../shared/messages.ts";
import { UNROUTED_PLACE } from "../../shared/route-names.ts";
import type { ClientStream, RefusedRequest } from "./exchange.ts";
import type { Client, ExchangeHost } from "./host.ts";
import type { RequestHead } from "./message/heads.ts";
import { NOBODY } from "./nobody.ts";
import type { AccessLog, ErrorAnswer } from "./passage.ts";
import { Notes } from "./record.ts";
import { Exchange } from "./relay.ts";
import type { Choice } from "./tries.ts";

export interface ExchangesOptions {
  readonly plan: HttpPlan;
  readonly counters: CounterWriter;
  readonly targets: Choice;
  readonly errorAnswer: ErrorAnswer;
  readonly accessLog: AccessLog | null;
  clock(): number;
  refused(reason: Refusal, detail: string): void;
}

export class Exchanges implements ExchangeHost {
  readonly plan: HttpPlan;
  readonly counters: CounterWriter;
  readonly targets: Choice;
  readonly errorAnswer: ErrorAnswer;
  readonly accessLog: AccessLog | null;
  coarseMs: number;
  readonly #options: ExchangesOptions;
  readonly #live: Exchange[] = [];
  readonly #free: Exchange[] = [];

  constructor(options: ExchangesOptions) {
    this.plan = options.plan;
    this.counters = options.counters;
    this.targets = options.targets;
    this.errorAnswer = options.errorAnswer;
    this.accessLog = options.accessLog;
    this.#options = options;
    this.coarseMs = options.clock();
  }

  /** Under way. */
  get count(): number {
    return this.#live.length;
  }

  clock(): number {
    return (this.coarseMs = this.#options.clock());
  }

  refused(reason: Refusal, detail: string): void {
    this.#options.refused(reason, detail);
  }

  take(client: Client, stream: ClientStream, head: RequestHead): void {
    this.counters.spoken(head.version);
    const exchange = this.#free.pop() ?? new Exchange(this);
    exchange.place = this.#live.length;
    this.#live.push(exchange);
    exchange.take(client, stream, head, this.clock());
  }

  /** A request that never becomes an exchange, since there is no room for it. */
  turnAway(client: Client, stream: ClientStream, head: RequestHead, detail: string): void {
    const { accessLog } = this;
    const own = this.errorAnswer(503, head, SHEDDING.retryAfterSeconds);
    const { bodyless } = own.head;
    this.refused("overload", detail);
    this.counters.spoken(head.version);
    this.#countOwn(own.head.status);
    if (accessLog !== null) {
      const notes = new Notes();
      notes.begin(this.clock());
      notes.note(client, head);
      notes.refuse("overload", detail);
      notes.status = own.head.status;
      notes.bytesDown = bodyless ? 0 : own.body.length;
      notes.record(accessLog, "", 0);
    }
    stream.events = NOBODY;
    stream.sendHead(own.head);
    if (bodyless) return;
    stream.sendBody(own.body);
    stream.sendEnd(null);
  }

  /** A request that never became an exchange, since its codec has answered it. */
  noteRefused(client: Client, request: RefusedRequest, failure: string): void {
    const { accessLog } = this;
    this.counters.spoken(request.version);
    this.#countOwn(request.status);
    if (accessLog === null) return;
    const notes = new Notes();
    notes.begin(this.clock());
    notes.noteRefused(client, request, failure);
    accessLog.record(notes);
  }

  /** Of a request that no route was looked for. */
  #countOwn(status: number): void {
    const { counters } = this;
    counters.requestBegan(UNROUTED_PLACE);
    counters.answeredHere(UNROUTED_PLACE, status);
    counters.requestEnded(UNROUTED_PLACE, status, 0);
  }

  over(exchange: Exchange): void {
    const last = this.#live.pop()!;
    if (last !== exchange) {
      this.#live[exchange.place] = last;
      last.place = exchange.place;
    }
    if (this.#free.length < HTTP_RELAY.exchangesKept) this.#free.push(exchange);
  }

  /** @returns whether anything can still time out. */
  sweep(now: number): boolean {
    this.coarseMs = now;
    // From the end: one that is over is replaced by the last, which was looked at.
    for (let i = this.#live.length - 1; i >= 0; i--) this.#live[i]?.sweep(now);
    return this.#live.length > 0;
  }
}
