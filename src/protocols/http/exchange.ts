// One request and its answer, between a client's side and a backend's side. This is where all versions meet: a codec's server
// gives a ClientStream, a codec's client gives a BackendStream, and what stands between them (relay.ts, filters) takes what one
// tells and calls the other. Nothing here awaits and nothing is queued on the way: backpressure is `false` from sendBody, pause
// and resume.
//
//              RequestEvents                               (BackendStream)
//   client  ────────────────────▶  what stands between  ────────────────────▶  backend
//   stream  ◀────────────────────                       ◀────────────────────  stream
//              (ClientStream)                               ResponseEvents
//
// Order of a message: informational heads (answers only), one head, any number of body parts, one end. After an end or a
// failure of a direction nothing follows in it. A stream that was reset, from either side, tells nothing more.
//
// When an exchange is over. A client's stream, once it was given the whole answer (sendEnd, or a head that is bodyless), tells
// nothing more: what is left of the request is the codec's to discard or to cut off. A backend's stream, once it has told the
// whole answer, is reset by whoever has not sent the whole request. Only an upgrade that was accepted (101) has two
// directions that end apart; one that was not has no body, so its request ended with its head, and no end of it is told.

import type { HttpLimitsPlan, HttpTimeoutsPlan } from "../../shared/http-plan.ts";
import type { Refusal } from "../../shared/messages.ts";
import type { Wire, WireTls } from "../wire/wire.ts";
import type { Fields } from "./message/fields.ts";
import type { RequestHead, ResponseHead } from "./message/heads.ts";

/** Why a direction broke off. The code is stable; the message is for logs. */
export interface Failure {
  readonly code: FailureCode;
  readonly message: string;
  /**
   * Of a backend: nothing of the request has been processed, so any method may be sent again elsewhere (a connection that could
   * not be made, REFUSED_STREAM, a stream beyond GOAWAY).
   */
  readonly unprocessed: boolean;
  /** Of a client: the status that whoever tells of it has answered with. */
  readonly answered?: number;
}

export type FailureCode =
  | "connect" // the backend could not be reached
  | "connect_timeout" // the backend did not answer in time
  | "tls" // its certificate or handshake was refused
  | "closed" // it went away before the message was complete
  | "reset" // the peer reset the connection, or a client its stream
  | "stream_reset" // a backend reset the stream, on a connection that lives: it works, whatever it has against this request
  | "shortage" // this machine lacks descriptors, memory or ports for a connection to the backend
  | "malformed" // it broke the rules of its protocol
  | "too_large" // a head or a body beyond its limit
  | "timeout" // no progress in time
  | "drain" // this proxy is going away
  | "internal"; // a bug of ours

/** A client's side: one request. Made by a codec's server. */
export interface ClientStream {
  /** Of its connection: who it is, in clear or over TLS. The same object for every request on it. */
  readonly connection: ClientConnection;
  /** Where what the client does goes; set by whoever takes the request, before its head is told returns. */
  events: RequestEvents;
  /** 1xx other than 101. Left out for clients that cannot take them (HTTP/1.0). */
  sendInformational(head: ResponseHead): void;
  /** The head may be changed once this returns. With `bodyless` it is the end, too. */
  sendHead(head: ResponseHead): void;
  /** @param bytes may be changed once this returns. @returns false: stop until `onClientDrain`. */
  sendBody(bytes: Uint8Array): boolean;
  /** The answer is complete. @param trailers left out where the version or the client takes none. */
  sendEnd(trailers: Fields | null): void;
  /** Of the body, as it went to the client, where that is not what was sent here: a filter's. For the access log. */
  readonly bodyBytes?: number;
  /** The answer cannot be completed: the client must see that it is not whole (RST_STREAM, or the connection is cut). */
  reset(failure: Failure): void;
  /** The request's body: no more onRequestBody until `resume` (but for what is on its way up). Bodies begin paused. */
  pause(): void;
  resume(): void;
}

/** What a client does. `onRequest` of the listener comes first (see RequestTaker). */
export interface RequestEvents {
  /** The bytes are valid during the call only. */
  onRequestBody(bytes: Uint8Array): void;
  /** Also after a head without a body. */
  onRequestEnd(trailers: Fields | null): void;
  /** The client is gone, or broke the rules: nothing can be sent to it any more. */
  onRequestFailure(failure: Failure): void;
  onClientDrain(): void;
}

/**
 * The head came in. The taker sets stream.events before it returns, and may answer at once, from within this call. The head is
 * the taker's, to change and to keep, until its exchange is over: connections are waited for, and requests sent again.
 */
export type RequestTaker = (stream: ClientStream, head: RequestHead) => void;

/** A client's connection as its codec's server: what the listener keeps. */
export interface ServerConnection {
  /**
   * No more requests than those that are on their way: `Connection: close` with the next answer, GOAWAY. It closes when those
   * under way are over; one that rests is closed by `sweep`, when no request can be on its way any more.
   */
  drain(): void;
  /** Ends what has timed out, or was too slow: heads, rest between requests, senders of bodies, readers of answers. */
  sweep(nowMs: number): void;
  /** At once. Exchanges under way are told (`onRequestFailure`). */
  destroy(): void;
}

/** What a client's connection tells its listener. */
export interface ServerEvents {
  /** It is gone, and so are its exchanges. @param failure null if nothing went wrong. */
  onGone(failure: Failure | null): void;
  /**
   * The client was turned away, or its request was, for what it sent or did not send. Counted and logged.
   * @param request that no taker has seen, for the access log.
   */
  onRefused(reason: Refusal, detail: string, request?: RefusedRequest): void;
}

/** A request that its codec has refused: what was understood of it, and empty what was not. */
export interface RefusedRequest {
  /** Of its answer, or of what it would have been answered where its version only resets. */
  readonly status: number;
  readonly version: number;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** Of the answer's body. */
  readonly bytes: number;
}

/**
 * What a codec's server is made of: `new Http1Server(setup)`, `new Http2Server(setup)`. It makes itself the wire's handler. What
 * was read before is given to it by `wire.handler.onData`.
 */
export interface ServerSetup {
  readonly wire: Wire;
  readonly connection: ClientConnection;
  readonly take: RequestTaker;
  readonly events: ServerEvents;
  readonly limits: HttpLimitsPlan;
  readonly timeouts: HttpTimeoutsPlan;
  readonly nowMs: number;
}

/** What a codec's client is made of: `new Http1Backend(setup)`, `new Http2Backend(setup)`, as ServerSetup. */
export interface BackendSetup {
  readonly wire: Wire;
  readonly events: BackendEvents;
  readonly limits: HttpLimitsPlan;
}

/** A client's connection, whatever version it speaks. */
export interface ClientConnection {
  /** In numbers, as in logs and Forwarded: `192.0.2.1`, `2001:db8::1`; empty for a unix socket. */
  readonly address: string;
  readonly port: number;
  /** See WireTls; null in clear. */
  readonly tls: WireTls | null;
  /** Whether Forwarded and X-Forwarded-* of this peer are believed (trusted in the configuration). Found out once. */
  readonly trusted: boolean;
}

/** A backend's side: one request on one of its connections. Made by a codec's client; its head was sent, or waits. */
export interface BackendStream {
  /** @param bytes may be changed once this returns. @returns false: stop until `onBackendDrain`. */
  sendBody(bytes: Uint8Array): boolean;
  /** The request is complete. */
  sendEnd(trailers: Fields | null): void;
  /** Nobody wants the answer any more. */
  reset(failure: Failure): void;
  /** The answer's body: no more onResponseBody until `resume` (but for what is on its way up). It does not begin paused. */
  pause(): void;
  resume(): void;
}

/** What a backend does. */
export interface ResponseEvents {
  /** 1xx other than 101. */
  onInformational(head: ResponseHead): void;
  /** The head may be changed, and is valid during the call only. With `bodyless` it is the end, too. */
  onResponse(head: ResponseHead): void;
  /** The bytes are valid during the call only. */
  onResponseBody(bytes: Uint8Array): void;
  onResponseEnd(trailers: Fields | null): void;
  /** It will not answer, or not completely. */
  onResponseFailure(failure: Failure): void;
  onBackendDrain(): void;
}

/** A connection to a backend, whatever version it speaks: what the pool keeps. */
export interface BackendConnection {
  /** How many more requests it takes now: 0 or 1 for HTTP/1.1; its streams that are free for HTTP/2. */
  readonly free: number;
  /** Requests under way. */
  readonly active: number;
  /** Takes no more requests and is to be forgotten (Connection: close, GOAWAY, an error); what is under way goes on. */
  readonly closing: boolean;
  /**
   * Sends a request. Its body follows by sendBody and sendEnd unless head.contentLength is 0 and it is no upgrade: then this
   * is the end, too.
   * @param head may be changed once this returns.
   */
  request(head: RequestHead, events: ResponseEvents): BackendStream;
  /** No more requests; closes when those under way are over. */
  close(): void;
  /** At once. */
  destroy(): void;
  /** Asks a backend that says nothing while requests wait whether it lives; for versions that can (HTTP/2). */
  sweep?(nowMs: number): void;
}

/** What a backend's connection tells its pool. */
export interface BackendEvents {
  /** It may be used (for HTTP/2: its settings came). */
  onReady(connection: BackendConnection): void;
  /** `free` or `closing` changed. */
  onChange(connection: BackendConnection): void;
  /** It is gone. Requests under way were told. @param failure null if nothing went wrong. */
  onGone(connection: BackendConnection, failure: Failure | null): void;
}
