// Counters in shared memory: one buffer for each worker and listener, written by that worker alone and read by the control
// plane without a message. A Float64 holds exact integers to 2^53; an aligned 8-byte store does not tear on any platform
// that Bun runs on, and there is one writer, so no atomic operation is needed.
//
//   slot   0         1       2        3     4            5     6         7        8 …         8+R …       …
//          accepted  closed  bytesUp  down  datagramsUp  down  mirrored  dropped  refused[R]  dropped[D]  errors[E]
//   then handshakes of TLS by version, in full and resumed; then of HTTP: reuses, requests by version, the number of routes
//   (route-names.ts), and for each: requests, unanswered, retries, refused retries, answers[S], own answers[S], total time of
//   what was answered (ms), answers by the time that they took[T]
//   then for each target: connects, failures, closed, up, down, its state (of TARGET_STATES), ejections, until when it is
//   ejected (Unix time in milliseconds)

import { type Drop, DROPS, type Refusal, REFUSALS } from "./messages.ts";
import { TARGET_STATES, type TargetState } from "./target-states.ts";

/** Errors by the names of errno(3); what is not named counts as OTHER. */
export const COUNTED_ERRORS = [
  "ECONNREFUSED",
  "ECONNRESET",
  "ETIMEDOUT",
  "EPIPE",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "EMFILE",
  "ENFILE",
  "ENOMEM",
  "ENOBUFS",
  "ENOENT",
  "OTHER",
] as const;
export type CountedError = (typeof COUNTED_ERRORS)[number];

/** Of answers, by the first digit of their status. 1xx is an upgrade that was accepted. */
export const STATUS_CLASSES = ["1xx", "2xx", "3xx", "4xx", "5xx"] as const;
export type StatusClass = (typeof STATUS_CLASSES)[number];

/** From the request's head to the end of its answer; beyond the last there is one more. Fixed, so that workers add up. */
export const DURATIONS_MS = [
  1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000,
] as const;

/** As the runtime names them. */
export const TLS_VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;
export type TlsVersion = (typeof TLS_VERSIONS)[number];

export const HTTP_VERSIONS = ["1.0", "1.1", "2", "3"] as const;
export type HttpVersion = (typeof HTTP_VERSIONS)[number];
/** In their order. */
const HTTP_VERSION_NUMBERS = [10, 11, 20, 30];

const ACCEPTED = 0;
const CLOSED = 1;
const BYTES_UP = 2;
const BYTES_DOWN = 3;
const DATAGRAMS_UP = 4;
const DATAGRAMS_DOWN = 5;
const MIRRORED = 6;
const MIRROR_DROPPED = 7;
const REFUSED = 8;
const DROPPED = REFUSED + REFUSALS.length;
const ERRORS = DROPPED + DROPS.length;
const HANDSHAKES = ERRORS + COUNTED_ERRORS.length;
const RESUMED = HANDSHAKES + TLS_VERSIONS.length;
const REUSES = RESUMED + TLS_VERSIONS.length;
const VERSIONS = REUSES + 1;
const ROUTE_COUNT = VERSIONS + HTTP_VERSIONS.length;
const ROUTES = ROUTE_COUNT + 1;

const REQUESTS = 0;
const UNANSWERED = 1;
const RETRIES = 2;
const RETRIES_REFUSED = 3;
const ANSWERS = 4;
const OWN_ANSWERS = ANSWERS + STATUS_CLASSES.length;
const TOTAL_MS = OWN_ANSWERS + STATUS_CLASSES.length;
const TOOK = TOTAL_MS + 1;
const ROUTE_SLOTS = TOOK + DURATIONS_MS.length + 1;

const TARGET_CONNECTS = 0;
const TARGET_FAILURES = 1;
const TARGET_CLOSED = 2;
const TARGET_UP = 3;
const TARGET_DOWN = 4;
const TARGET_STATE = 5;
const TARGET_EJECTIONS = 6;
const TARGET_UNTIL = 7;
const TARGET_SLOTS = 8;

/** @param routes of requests, `countedRoutes` of them. */
export function createCounters(targets: number, routes = 0): SharedArrayBuffer {
  const length = ROUTES + routes * ROUTE_SLOTS + targets * TARGET_SLOTS;
  const slots = new Float64Array(new SharedArrayBuffer(length * Float64Array.BYTES_PER_ELEMENT));
  slots[ROUTE_COUNT] = routes;
  return slots.buffer;
}

function targetsIn(slots: Float64Array): number {
  return ROUTES + slots[ROUTE_COUNT]! * ROUTE_SLOTS;
}

/** A worker's end. Bytes go `up` from client to target and `down` from target to client. */
export class CounterWriter {
  readonly #slots: Float64Array;
  /** Where those of targets begin. */
  readonly #targets: number;

  constructor(buffer: SharedArrayBuffer) {
    this.#slots = new Float64Array(buffer);
    this.#targets = targetsIn(this.#slots);
  }

  accepted(): void {
    this.#add(ACCEPTED, 1);
  }

  refused(reason: Refusal): void {
    this.#add(REFUSED + REFUSALS.indexOf(reason), 1);
  }

  dropped(reason: Drop, count = 1): void {
    this.#add(DROPPED + DROPS.indexOf(reason), count);
  }

  error(errno: string): void {
    const index = COUNTED_ERRORS.indexOf(errno as CountedError);
    this.#add(ERRORS + (index < 0 ? COUNTED_ERRORS.length - 1 : index), 1);
  }

  connected(target: number): void {
    this.#add(this.#targets + target * TARGET_SLOTS + TARGET_CONNECTS, 1);
  }

  connectFailed(target: number): void {
    this.#add(this.#targets + target * TARGET_SLOTS + TARGET_FAILURES, 1);
  }

  /** An accepted connection ended before it reached a target. */
  closedUnconnected(): void {
    this.#add(CLOSED, 1);
  }

  /** A connection that `connected` counted ended. */
  closed(target: number): void {
    this.#add(CLOSED, 1);
    this.#add(this.#targets + target * TARGET_SLOTS + TARGET_CLOSED, 1);
  }

  bytesUp(target: number, bytes: number): void {
    this.#add(BYTES_UP, bytes);
    this.#add(this.#targets + target * TARGET_SLOTS + TARGET_UP, bytes);
  }

  bytesDown(target: number, bytes: number): void {
    this.#add(BYTES_DOWN, bytes);
    this.#add(this.#targets + target * TARGET_SLOTS + TARGET_DOWN, bytes);
  }

  datagramUp(target: number, bytes: number): void {
    this.#add(DATAGRAMS_UP, 1);
    this.bytesUp(target, bytes);
  }

  datagramDown(target: number, bytes: number): void {
    this.#add(DATAGRAMS_DOWN, 1);
    this.bytesDown(target, bytes);
  }

  /** Bytes of a copy that the mirror's socket has taken. */
  mirrored(bytes: number): void {
    this.#add(MIRRORED, bytes);
  }

  /** Bytes that were to be copied, and were not. */
  mirrorDropped(bytes: number): void {
    this.#add(MIRROR_DROPPED, bytes);
  }

  /** Of a target that clients' connections do not lead to one by one: a connection that `connected` counted ended. */
  disconnected(target: number): void {
    this.#add(this.#targets + target * TARGET_SLOTS + TARGET_CLOSED, 1);
  }

  /** @param forMs of one that is ejected: then whoever comes finds out, and it counts as half_open, be it that nobody comes. */
  targetBecame(target: number, state: TargetState, forMs = 0, nowMs = Date.now()): void {
    const base = this.#targets + target * TARGET_SLOTS;
    this.#slots[base + TARGET_UNTIL] = nowMs + forMs;
    this.#slots[base + TARGET_STATE] = TARGET_STATES.indexOf(state);
  }

  ejected(target: number): void {
    this.#add(this.#targets + target * TARGET_SLOTS + TARGET_EJECTIONS, 1);
  }

  /** A handshake of TLS is over. @param version of TLS_VERSIONS. */
  agreed(version: string, resumed: boolean): void {
    const index = TLS_VERSIONS.indexOf(version as TlsVersion);
    if (index >= 0) this.#add((resumed ? RESUMED : HANDSHAKES) + index, 1);
  }

  /** A request in this version of HTTP. @param version 10, 11, 20 or 30; of one that is malformed, whatever it says. */
  spoken(version: number): void {
    const index = HTTP_VERSION_NUMBERS.indexOf(version);
    if (index >= 0) this.#add(VERSIONS + index, 1);
  }

  /** @param route its place in `countedRoutes`; so for all of requests that follow. */
  requestBegan(route: number): void {
    this.#add(ROUTES + route * ROUTE_SLOTS + REQUESTS, 1);
  }

  /**
   * @param status that the client was sent; 0: it was gone before there was one.
   * @param tookMs from the request's head to now.
   */
  requestEnded(route: number, status: number, tookMs: number): void {
    const base = ROUTES + route * ROUTE_SLOTS;
    if (status === 0) return this.#add(base + UNANSWERED, 1);
    this.#add(base + ANSWERS + classOf(status), 1);
    if (status < 200) return; // a connection of another protocol since: what it took says nothing of an answer
    this.#add(base + TOTAL_MS, tookMs);
    let bucket = 0;
    while (bucket < DURATIONS_MS.length && tookMs > DURATIONS_MS[bucket]!) bucket++;
    this.#add(base + TOOK + bucket, 1);
  }

  /** The answer was made here: an error, a redirect. `requestEnded` counts it too. */
  answeredHere(route: number, status: number): void {
    this.#add(ROUTES + route * ROUTE_SLOTS + OWN_ANSWERS + classOf(status), 1);
  }

  /** A request was sent once more. */
  retried(route: number): void {
    this.#add(ROUTES + route * ROUTE_SLOTS + RETRIES, 1);
  }

  /** A request would have been sent once more, had not too many been (RetryPlan.budget). */
  retryRefused(route: number): void {
    this.#add(ROUTES + route * ROUTE_SLOTS + RETRIES_REFUSED, 1);
  }

  /** A request went over a connection that had served others before. */
  reused(): void {
    this.#add(REUSES, 1);
  }

  #add(slot: number, amount: number): void {
    this.#slots[slot] = this.#slots[slot]! + amount;
  }
}

function classOf(status: number): number {
  return Math.floor(status / 100) - 1;
}

/** As its worker, or all of them, count it. */
export interface TargetStats {
  /** Its address, with the name that it came from; empty where nobody knows it. */
  name: string;
  /** Whose clients go there (route-names.ts); empty where nobody knows it. */
  route: string;
  connects: number;
  failures: number;
  active: number;
  bytesUp: number;
  bytesDown: number;
  /** How many workers hold it for what: each finds out for itself. */
  states: Record<TargetState, number>;
  /** How often a worker left it out for a while, since the start. */
  ejections: number;
}

/** Requests and their answers. */
export interface RequestStats {
  /** That began. */
  requests: number;
  /** That are under way. */
  active: number;
  /** By the status that the client was sent. */
  answers: Record<StatusClass, number>;
  /** Of these, the ones that no target gave. */
  ownAnswers: Record<StatusClass, number>;
  /** Of all that were answered and not upgraded, together. */
  totalMs: number;
  /** Answers by what they took at most, of DURATIONS_MS, or `Infinity`; each is in one of them. */
  took: Record<string, number>;
  /** Whose client was gone before there was an answer. */
  unanswered: number;
  /** How often a request was sent once more. */
  retries: number;
  /** Requests that were not, since the budget of retries was used up. */
  retriesRefused: number;
}

/** Of a listener that forwards requests. */
export interface HttpStats extends RequestStats {
  /** Requests that went over a connection which had served others. */
  reuses: number;
  /** Requests by the version that their client spoke. */
  versions: Record<HttpVersion, number>;
}

/** Of a route of requests. */
export interface RouteStats extends RequestStats {
  /** Empty where nobody knows it. */
  name: string;
}

/** Of a UDP listener, connections are sessions, and bytes and datagrams those that arrived for a session. */
export interface ListenerStats {
  /** Connections accepted since the start. */
  total: number;
  active: number;
  bytesUp: number;
  bytesDown: number;
  datagramsUp: number;
  datagramsDown: number;
  /** Of what clients sent: copied to the mirror, and not copied though it was to be. */
  mirrored: number;
  mirrorDropped: number;
  /** Of a UDP listener: datagrams of clients that got no session, and sessions that ended since their target was down. */
  refused: Record<Refusal, number>;
  /** Of the datagrams, those that were not passed on. */
  dropped: Record<Drop, number>;
  errors: Record<CountedError, number>;
  /** Handshakes of TLS that came to an end: in full, and those that resumed a session. */
  handshakes: Record<TlsVersion, number>;
  resumptions: Record<TlsVersion, number>;
  http: HttpStats;
  /** Of requests alone; all of them together are `http`. What goes to targets by other routes is in `targets`. */
  routes: RouteStats[];
  /** Of HTTP, `connects` and `active` are connections that requests share, and bytes those of bodies. */
  targets: TargetStats[];
}

/** @param routes of requests. */
export function emptyStats(targets: number, routes = 0): ListenerStats {
  return {
    total: 0,
    active: 0,
    bytesUp: 0,
    bytesDown: 0,
    datagramsUp: 0,
    datagramsDown: 0,
    mirrored: 0,
    mirrorDropped: 0,
    refused: zeros(REFUSALS),
    dropped: zeros(DROPS),
    errors: zeros(COUNTED_ERRORS),
    handshakes: zeros(TLS_VERSIONS),
    resumptions: zeros(TLS_VERSIONS),
    http: { ...noRequests(), reuses: 0, versions: zeros(HTTP_VERSIONS) },
    routes: Array.from({ length: routes }, () => ({ name: "", ...noRequests() })),
    targets: Array.from({ length: targets }, () => ({
      name: "",
      route: "",
      connects: 0,
      failures: 0,
      active: 0,
      bytesUp: 0,
      bytesDown: 0,
      states: { up: 0, ejected: 0, half_open: 0, down: 0 },
      ejections: 0,
    })),
  };
}

function zeros<T extends string>(names: readonly T[]): Record<T, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<T, number>;
}

function noRequests(): RequestStats {
  const took = zeros([...DURATIONS_MS, Infinity].map(String));
  const [answers, ownAnswers] = [zeros(STATUS_CLASSES), zeros(STATUS_CLASSES)];
  return {
    requests: 0,
    active: 0,
    answers,
    ownAnswers,
    totalMs: 0,
    took,
    unanswered: 0,
    retries: 0,
    retriesRefused: 0,
  };
}

/** Adds one worker's counters to `sum`, which `emptyStats` made for as many targets and routes. Unix time. */
export function addCounters(sum: ListenerStats, buffer: SharedArrayBuffer, now = Date.now()): void {
  const slots = new Float64Array(buffer);
  const at = (slot: number): number => slots[slot]!;
  sum.total += at(ACCEPTED);
  sum.active += at(ACCEPTED) - at(CLOSED);
  sum.bytesUp += at(BYTES_UP);
  sum.bytesDown += at(BYTES_DOWN);
  sum.datagramsUp += at(DATAGRAMS_UP);
  sum.datagramsDown += at(DATAGRAMS_DOWN);
  sum.mirrored += at(MIRRORED);
  sum.mirrorDropped += at(MIRROR_DROPPED);
  REFUSALS.forEach((name, i) => (sum.refused[name] += at(REFUSED + i)));
  DROPS.forEach((name, i) => (sum.dropped[name] += at(DROPPED + i)));
  COUNTED_ERRORS.forEach((name, i) => (sum.errors[name] += at(ERRORS + i)));
  TLS_VERSIONS.forEach((name, i) => {
    sum.handshakes[name] += at(HANDSHAKES + i);
    sum.resumptions[name] += at(RESUMED + i);
  });
  sum.http.reuses += at(REUSES);
  HTTP_VERSIONS.forEach((name, i) => (sum.http.versions[name] += at(VERSIONS + i)));
  sum.routes.forEach((route, i) => {
    const base = ROUTES + i * ROUTE_SLOTS;
    const own = (slot: number): number => at(base + slot);
    addRequests(route, own);
    addRequests(sum.http, own);
  });
  const first = targetsIn(slots);
  sum.targets.forEach((target, i) => {
    const base = first + i * TARGET_SLOTS;
    target.connects += at(base + TARGET_CONNECTS);
    target.failures += at(base + TARGET_FAILURES);
    target.active += at(base + TARGET_CONNECTS) - at(base + TARGET_CLOSED);
    target.bytesUp += at(base + TARGET_UP);
    target.bytesDown += at(base + TARGET_DOWN);
    const state = TARGET_STATES[at(base + TARGET_STATE)]!;
    const isOver = state === "ejected" && at(base + TARGET_UNTIL) <= now;
    target.states[isOver ? "half_open" : state]++;
    target.ejections += at(base + TARGET_EJECTIONS);
  });
}

function addRequests(sum: RequestStats, at: (slot: number) => number): void {
  sum.requests += at(REQUESTS);
  sum.unanswered += at(UNANSWERED);
  sum.retries += at(RETRIES);
  sum.retriesRefused += at(RETRIES_REFUSED);
  sum.totalMs += at(TOTAL_MS);
  [...DURATIONS_MS, Infinity].forEach((ms, i) => (sum.took[ms]! += at(TOOK + i)));
  sum.active += at(REQUESTS) - at(UNANSWERED);
  STATUS_CLASSES.forEach((name, i) => {
    sum.answers[name] += at(ANSWERS + i);
    sum.ownAnswers[name] += at(OWN_ANSWERS + i);
    sum.active -= at(ANSWERS + i);
  });
}
