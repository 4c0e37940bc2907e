// What an exchange asks on its way from a client to a backend: which route, which edits, which filters, and the answers that
// this proxy makes itself. The relay (relay.ts) calls these and knows none of their reasons; route/, filters and answers.ts
// implement them.
//
// Where a request's strings are not needed by its route none are made: a Guide lives as long as a client's connection, and
// keeps what its requests have in common (the last route by the bytes of its host, the fields that are forwarded, as bytes).

import type { HttpRoutePlan } from "../../shared/http-plan.ts";
import type { ClientConnection, ClientStream } from "./exchange.ts";
import type { Fields } from "./message/fields.ts";
import type { RequestHead, ResponseHead } from "./message/heads.ts";

/** An answer that no backend gave: an error, a redirect, a preflight. Its head says the body's length. */
export interface OwnAnswer {
  readonly head: ResponseHead;
  readonly body: Uint8Array;
}

/** Made once for each route of the plan. */
export interface Route {
  readonly plan: HttpRoutePlan;
  /** Its place in counters (shared/route-names.ts). */
  readonly counted: number;
  /** What stands between client and exchange, outermost first; mostly nothing. */
  readonly filters: readonly Filter[];
}

/** Compiled from a listener's routes; one in each worker. */
export interface Router {
  /** For a client's connection: called once, before its first request. */
  guide(connection: ClientConnection): Guide;
}

/**
 * Why no route takes a request: its path has no one meaning, none fits, TRACE or CONNECT, its host is not this connection's, it
 * came too early for what it does.
 */
export type RouteRefusal = 400 | 404 | 405 | 421 | 425;

/** Shows the requests of one connection their way. */
export interface Guide {
  /** @returns the status that the request is refused with, if no route takes it. */
  route(head: RequestHead): Route | RouteRefusal;
  /** Of a route without a group, which answers by itself (a redirect, OPTIONS that may not go further). */
  answer(route: Route, head: RequestHead): OwnAnswer;
  /**
   * Makes of what the client asked what the backend is asked: hop-by-hop fields removed, forwarded fields, Via and request id
   * added, the path rewritten, the route's own edits done. Called once for a request, also if it is sent more than once.
   * @returns 400 if its path cannot be rewritten, since it means different things to different programs; then it must not
   * be sent.
   */
  editRequest(route: Route, head: RequestHead): 400 | null;
  /** Takes out of a request's trailers what may not be in its head either: there are programs that read them as one. */
  editTrailers(route: Route, trailers: Fields): void;
  /** Makes of the backend's answer what the client is answered. Also of 1xx. */
  editResponse(route: Route, head: ResponseHead): void;
}

/** Stands between the streams of clients and their exchanges, for requests that want it: compression, gRPC-Web. */
export interface Filter {
  /** @returns an answer if the request needs no backend (a CORS preflight), otherwise null. */
  answer(head: RequestHead): OwnAnswer | null;
  /**
   * Called before `editRequest`, and may change the head (a gRPC-Web request becomes one of gRPC).
   * @returns `stream` itself if the request is not its business; otherwise a stream that has it inside: it sets the inner
   * one's events to itself, and tells what it makes of them to its own.
   */
  wrap(stream: ClientStream, head: RequestHead): ClientStream;
}

/**
 * Makes answers for what went wrong (answers.ts).
 * @param head of the request, edited or not; null if there is none. It may say what it takes (Accept).
 * @param retryAfterSeconds when it may be tried again; left out where that is not known.
 */
export type ErrorAnswer = (
  status: number,
  head: RequestHead | null,
  retryAfterSeconds?: number,
) => OwnAnswer;

/** One exchange that is over, or a request that never became one, for the access log. Valid during the call. */
export interface ExchangeRecord {
  readonly connection: ClientConnection;
  /** As the client asked, before any edit. */
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly version: number;
  /** Empty without one. */
  readonly requestId: string;
  readonly userAgent: string;
  readonly referer: string;
  /** That the client was sent; 0: the client left before there was one. */
  readonly status: number;
  /** Of bodies: what the client sent, and what went to it. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** For people, of the last that was tried; empty if none was. */
  readonly target: string;
  /** Unix time. */
  readonly startedMs: number;
  /** From the request's head to: the backend's connection, the answer's head, the end. -1: it did not come to that. */
  readonly connectMs: number;
  readonly headMs: number;
  readonly totalMs: number;
  /** How often it was sent again. */
  readonly retries: number;
  /** Why it broke off or was refused: a code of Failure or Refusal and a message; empty if it was not. */
  readonly failure: string;
}

export interface AccessLog {
  /** Called once for each request. */
  record(record: ExchangeRecord): void;
  /** Passes on what is gathered: the listener has ended. */
  close(): void;
}
