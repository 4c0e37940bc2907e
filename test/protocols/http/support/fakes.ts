// Clients and backends of an exchange that hold it to the contract of exchange.ts: a call that the contract forbids throws, and
// what they tell is chosen by the test. Called by tests of the relay and of the pool.

import type { RetryBudget } from "../../../../src/l4/retry-budget.ts";
import type { Target } from "../../../../src/l4/targets.ts";
import { Targets } from "../../../../src/l4/targets.ts";
import { Member, Pool, type PoolOptions } from "../../../../src/protocols/http/backend/pool.ts";
import type {
  BackendConnection,
  BackendEvents,
  BackendStream,
  ClientStream,
  Failure,
  RequestEvents,
  ResponseEvents,
} from "../../../../src/protocols/http/exchange.ts";
import { Exchanges } from "../../../../src/protocols/http/exchanges.ts";
import type { Client } from "../../../../src/protocols/http/host.ts";
import type { Fields } from "../../../../src/protocols/http/message/fields.ts";
import {
  RequestHead,
  ResponseHead,
  type Version,
} from "../../../../src/protocols/http/message/heads.ts";
import { NOBODY } from "../../../../src/protocols/http/nobody.ts";
import type { ExchangeRecord, Guide, Route } from "../../../../src/protocols/http/passage.ts";
import type { Connected } from "../../../../src/protocols/wire/open.ts";
import type { Wire } from "../../../../src/protocols/wire/wire.ts";
import {
  addCounters,
  CounterWriter,
  createCounters,
  emptyStats,
  type ListenerStats,
} from "../../../../src/shared/counters.ts";
import type { HttpPlan, HttpRoutePlan, RetryPlan } from "../../../../src/shared/http-plan.ts";
import type { TargetSlot, WorkerEvent } from "../../../../src/shared/messages.ts";
import { type BreakerPlan, GROUP_DEFAULTS } from "../../../../src/shared/plan.ts";

export function failure(code: Failure["code"], unprocessed = false): Failure {
  return { code, message: `it is ${code}`, unprocessed };
}

export function answer(status: number, options: { bodyless?: boolean } = {}): ResponseHead {
  const head = new ResponseHead();
  head.status = status;
  head.bodyless = options.bodyless ?? false;
  return head;
}

function forbid(what: string): never {
  throw new Error(`against the contract: ${what}`);
}

/** One request, and what the client got of its answer. */
export class FakeClient implements ClientStream {
  readonly connection: Client;
  readonly head = new RequestHead();
  events: RequestEvents = NOBODY;
  /** The client's side of the answer. */
  informational: number[] = [];
  status = 0;
  received = "";
  end: "open" | "complete" | "reset" | "gone" = "open";
  /** Of the request. */
  paused = true;
  /** Its body was asked for, so that parts of it may be on their way after a pause. */
  flowed = false;
  requestEnded = false;
  sent = "";
  /** What the next sendBody says. */
  takes = true;
  waitsForDrain = false;

  constructor(
    connection: Client,
    request: {
      method?: string;
      contentLength?: number;
      upgrade?: string;
      version?: Version;
      fields?: readonly (readonly [name: string, value: string])[];
    },
  ) {
    this.connection = connection;
    const { method = "GET", contentLength = 0, upgrade = "", version = 11, fields = [] } = request;
    for (const [name, value] of fields) this.head.fields.add(name, value);
    Object.assign(this.head, { method, contentLength, upgrade, version });
    this.head.authority = "a.example";
    this.head.path = "/";
  }

  get isOver(): boolean {
    return this.end !== "open";
  }

  get isTunnel(): boolean {
    return this.status === 101;
  }

  #check(what: string, allowed: boolean): void {
    if (this.end !== "open" || !allowed)
      forbid(`${what} to a client in ${this.end} ${this.status}`);
  }

  sendInformational(head: ResponseHead): void {
    this.#check("1xx", this.status === 0);
    this.informational.push(head.status);
  }

  sendHead(head: ResponseHead): void {
    this.#check("head", this.status === 0);
    this.status = head.status;
    if (head.bodyless && head.status !== 101) this.end = "complete";
  }

  sendBody(bytes: Uint8Array): boolean {
    this.#check("body", this.status !== 0);
    this.received += Buffer.from(bytes).toString();
    if (!this.takes) this.waitsForDrain = true;
    return this.takes;
  }

  answerEnded = false;

  sendEnd(): void {
    this.#check("end", this.status !== 0 && !this.answerEnded);
    this.answerEnded = true;
    if (!this.isTunnel || this.requestEnded) this.end = "complete";
  }

  reset(): void {
    this.#check("reset", true);
    this.end = "reset";
  }

  pause(): void {
    this.#check("pause", true);
    this.paused = true;
  }

  resume(): void {
    this.#check("resume", true);
    this.paused = false;
    this.flowed = true;
  }

  // What the test lets it do.

  get hasBody(): boolean {
    return this.head.contentLength !== 0 || (this.head.upgrade !== "" && this.isTunnel);
  }

  get maySend(): boolean {
    return !this.isOver && !this.requestEnded && this.hasBody;
  }

  body(text: string): void {
    this.sent += text;
    this.events.onRequestBody(new TextEncoder().encode(text));
  }

  finish(trailers: Fields | null = null): void {
    this.requestEnded = true;
    if (this.answerEnded) this.end = "complete";
    this.events.onRequestEnd(trailers);
  }

  leave(): void {
    this.end = "gone";
    this.events.onRequestFailure(failure("reset"));
  }

  drain(): void {
    this.waitsForDrain = false;
    this.takes = true;
    this.events.onClientDrain();
  }
}

/** A request as a backend has it. */
export class FakeBackendStream implements BackendStream {
  readonly connection: FakeConnection;
  readonly head: RequestHead;
  readonly events: ResponseEvents;
  received = "";
  requestEnded: boolean;
  status = 0;
  sent = "";
  paused = false;
  /** Its answer, or the lack of it, is told. */
  answered = false;
  wasReset = false;
  takes = true;
  waitsForDrain = false;

  constructor(connection: FakeConnection, head: RequestHead, events: ResponseEvents) {
    this.connection = connection;
    this.head = head;
    this.events = events;
    this.requestEnded = head.contentLength === 0 && head.upgrade === "";
  }

  get isOver(): boolean {
    return this.wasReset || (this.answered && this.requestEnded);
  }

  get mayTell(): boolean {
    return !this.wasReset && !this.answered;
  }

  #check(what: string, allowed: boolean): void {
    if (this.wasReset || !allowed) forbid(`${what} to a backend`);
  }

  sendBody(bytes: Uint8Array): boolean {
    this.#check("body", !this.requestEnded && !(this.answered && this.status !== 101));
    this.received += Buffer.from(bytes).toString();
    if (!this.takes) this.waitsForDrain = true;
    return this.takes;
  }

  sendEnd(): void {
    this.#check("end", !this.requestEnded);
    this.requestEnded = true;
    this.connection.changed(this);
  }

  reset(): void {
    this.#check("reset", !this.isOver);
    this.wasReset = true;
    this.connection.changed(this);
  }

  pause(): void {
    this.#check("pause", true);
    this.paused = true;
  }

  resume(): void {
    this.#check("resume", true);
    this.paused = false;
  }

  // What the test lets it do.

  informational(status: number): void {
    this.events.onInformational(answer(status));
  }

  respond(status: number, bodyless = false): void {
    this.status = status;
    if (status !== 101 && this.head.upgrade !== "") this.requestEnded = true;
    if (bodyless) this.answered = true;
    this.events.onResponse(answer(status, { bodyless }));
    if (bodyless) this.connection.changed(this);
  }

  body(text: string): void {
    this.sent += text;
    this.events.onResponseBody(new TextEncoder().encode(text));
  }

  finish(): void {
    this.answered = true;
    this.events.onResponseEnd(null);
    this.connection.changed(this);
  }

  fail(why: Failure): void {
    this.answered = this.wasReset = true;
    this.events.onResponseFailure(why);
    this.connection.changed(this);
  }

  drain(): void {
    this.waitsForDrain = false;
    this.takes = true;
    this.events.onBackendDrain();
  }
}

/** HTTP/1.1 with one place, or more. */
export class FakeConnection implements BackendConnection {
  readonly streams: FakeBackendStream[] = [];
  readonly pool: FakeBackend;
  closing = false;
  closed = false;
  /** When it was last asked whether its backend lives. */
  sweptMs = 0;
  readonly #places: number;
  readonly #events: BackendEvents;

  constructor(pool: FakeBackend, places: number, events: BackendEvents) {
    this.pool = pool;
    this.#places = places;
    this.#events = events;
  }

  get active(): number {
    return this.streams.filter((stream) => !stream.isOver).length;
  }

  get free(): number {
    return this.closing ? 0 : this.#places - this.active;
  }

  request(head: RequestHead, events: ResponseEvents): BackendStream {
    if (this.free === 0) forbid("a request on a connection without room");
    const stream = new FakeBackendStream(this, head, events);
    this.streams.push(stream);
    this.pool.streams.push(stream);
    return stream;
  }

  /** A stream is over. HTTP/1.1 cannot go on with what was reset. */
  changed(stream: FakeBackendStream): void {
    if (!stream.isOver || this.closed) return;
    if (stream.wasReset && this.#places === 1) this.gone(null);
    else this.#events.onChange(this);
    if (this.closing) this.#closeIfIdle();
  }

  close(): void {
    this.closing = true;
    this.#closeIfIdle();
  }

  destroy(): void {
    if (!this.closed) this.gone(null);
  }

  sweep(nowMs: number): void {
    this.sweptMs = nowMs;
  }

  #closeIfIdle(): void {
    if (this.active === 0 && !this.closed) this.gone(null);
  }

  /** The backend is gone, as a whole. */
  gone(why: Failure | null): void {
    this.closing = this.closed = true;
    for (const stream of this.streams) {
      if (!stream.isOver && stream.mayTell) {
        stream.answered = stream.wasReset = true;
        stream.events.onResponseFailure(why ?? failure("closed"));
      }
    }
    this.#events.onGone(this, why);
  }

  ready(): void {
    this.#events.onReady(this);
  }
}

/** A target with its pool: the test says when a connection comes to be, and how. */
export class FakeBackend {
  readonly streams: FakeBackendStream[] = [];
  readonly connections: FakeConnection[] = [];
  /** Under way, oldest first. */
  readonly dials: Connected[] = [];
  readonly pool: Pool;
  places: number;

  constructor(counters: CounterWriter, slot: number, options: FakeOptions) {
    this.places = options.places ?? 1;
    const given: PoolOptions = {
      name: `target ${slot}`,
      slot,
      scheme: "http",
      authority: `target${slot}.example`,
      multiplexed: this.places > 1,
      connectMs: 1_000,
      keepaliveMs: 10_000,
      counters,
      connect: (events, done) => {
        const dialled: Connected = (wire, error) =>
          wire === null ? done(null, error) : done(this.#open(events), null);
        this.dials.push(dialled);
        return { cancel: () => void this.dials.splice(this.dials.indexOf(dialled), 1) };
      },
      clock: options.clock,
    };
    this.pool = new Pool(given);
  }

  #open(events: BackendEvents): BackendConnection {
    const connection = new FakeConnection(this, this.places, events);
    this.connections.push(connection);
    connection.ready();
    return connection;
  }

  /** The oldest attempt to connect comes to its end. @param errno empty: it succeeds. */
  connect(errno = ""): void {
    const done = this.dials.shift()!;
    if (errno === "") done({} as Wire, null);
    else done(null, Object.assign(new Error(errno), { code: errno }));
  }

  /** The stream that was asked last. */
  get last(): FakeBackendStream {
    return this.streams.at(-1)!;
  }
}

interface FakeOptions {
  readonly places?: number;
  readonly clock: () => number;
}

export interface StageOptions {
  readonly targets?: number;
  readonly retries?: Partial<RetryPlan>;
  readonly budget?: RetryBudget;
  readonly breaker?: BreakerPlan;
  readonly places?: number;
  readonly bodyBytes?: number;
  readonly timeouts?: Partial<HttpPlan["timeouts"]>;
  readonly host?: HttpRoutePlan["host"];
  /** Of the request: what the guide says instead of the route. */
  readonly refusal?: 400 | 404;
}

export const TIMEOUTS: HttpPlan["timeouts"] = {
  connectMs: 1_000,
  proxyHeaderMs: 1_000,
  handshakeMs: 1_000,
  headMs: 1_000,
  keepaliveMs: 10_000,
  responseMs: 5_000,
  idleMs: 20_000,
  totalMs: 0,
  backendKeepaliveMs: 10_000,
  lifetimeMs: 0,
};

/** Exchanges between fake clients and fake backends. */
export class Stage {
  now = 1_000;
  readonly exchanges: Exchanges;
  readonly backends: FakeBackend[];
  readonly records: ExchangeRecord[] = [];
  readonly refusals: string[] = [];
  /** What exchanges showed of targets. */
  readonly targetEvents: WorkerEvent[] = [];
  /** By target: requests that count as active. */
  readonly active: number[];
  readonly #counters: SharedArrayBuffer;
  readonly #targets: number;

  constructor(options: StageOptions = {}) {
    const { targets: count = 1, places = 1 } = options;
    this.#targets = count;
    this.#counters = createCounters(count, 2);
    const counters = new CounterWriter(this.#counters);
    const clock = (): number => this.now;
    this.backends = Array.from(
      { length: count },
      (_, slot) => new FakeBackend(counters, slot, { places, clock }),
    );
    const targets = this.#makeTargets(count, options.breaker);
    this.active = new Array<number>(count).fill(0);
    this.exchanges = new Exchanges({
      plan: planOf(options),
      counters,
      targets: {
        begin: (group) => targets.begin(group),
        leave: (slot) => targets.leave(slot),
        budget: () => options.budget ?? null,
      },
      errorAnswer: (status, _head, againSeconds) => {
        const head = answer(status);
        const again = againSeconds === undefined ? "" : `, again in ${againSeconds} s`;
        const body = new TextEncoder().encode(`error ${status}${again}`);
        head.contentLength = body.length;
        return { head, body };
      },
      accessLog: {
        record: (record) => void this.records.push({ ...record }),
        close: () => {},
      },
      clock,
      refused: (reason) => void this.refusals.push(reason),
    });
    this.#guide = guideOf(options);
    this.targets = targets;
  }

  readonly targets: Targets<Pool>;
  readonly #guide: Guide;

  #makeTargets(count: number, breaker: BreakerPlan | null = null): Targets<Pool> {
    const slots = Array.from({ length: count }, (_, slot): TargetSlot => {
      const address = { kind: "ip" as const, host: "10.0.0.1", port: slot + 1 };
      const name = `target ${slot}`;
      const share = { weight: 1, backup: false, up: true, mode: "enabled", addedMs: 0 } as const;
      return { slot, group: 0, index: slot, address, name, ...share };
    });
    const endpoint = { kind: "tcp", host: "10.0.0.1", port: 1 } as never;
    const plans = slots.map(() => ({ endpoint, weight: 1, backup: false }));
    const balance = "least_connections";
    const groups = [{ ...GROUP_DEFAULTS, balance, targets: plans, breaker } as const];
    const listener = { key: "http", groups };
    const counters = this.#counters;
    const request = { listener, targets: slots, targetSlots: count, counters };
    const prepare = (_address: unknown, { slot }: TargetSlot): Pool => this.backends[slot]!.pool;
    const emit = (event: WorkerEvent): void => void this.targetEvents.push(event);
    return new Targets(request, { prepare, emit, random: () => 0, skip: 0 }, this.now);
  }

  ask(request: ConstructorParameters<typeof FakeClient>[1] = {}): FakeClient {
    const connection: Client = {
      address: "192.0.2.1",
      port: 5,
      tls: null,
      trusted: false,
      guide: this.#guide,
      ip: null,
      moved: () => {},
    };
    const client = new FakeClient(connection, request);
    this.exchanges.take(connection, client, client.head);
    return client;
  }

  /** The only backend. */
  get backend(): FakeBackend {
    return this.backends[0]!;
  }

  pass(ms: number): void {
    this.now += ms;
    this.exchanges.sweep(this.now);
    for (const { pool } of this.backends) pool.sweep(this.now);
  }

  get stats(): ListenerStats {
    const stats = emptyStats(this.#targets, 2);
    addCounters(stats, this.#counters);
    return stats;
  }
}

function guideOf(options: StageOptions): Guide {
  const { refusal, retries, host } = options;
  const { limits, timeouts } = planOf(options);
  const plan = {
    limits,
    timeouts,
    group: 0,
    host: host ?? "client",
    retries: { attempts: 0, connect: false, statuses: [], ...retries },
  } as unknown as HttpRoutePlan;
  const route: Route = { plan, counted: 1, filters: [] };
  return {
    route: () => refusal ?? route,
    answer: () => forbid("a redirect"),
    editRequest: () => null,
    editTrailers: () => {},
    editResponse: () => {},
  };
}

function planOf({ bodyBytes = 0, timeouts }: StageOptions): HttpPlan {
  return { limits: { bodyBytes }, timeouts: { ...TIMEOUTS, ...timeouts } } as HttpPlan;
}

export type { Member, Target };
