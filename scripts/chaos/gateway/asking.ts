// A client's side of one request, whatever version of HTTP it is asked in: sends the body, checks the answer byte by byte,
// and says how it ended.

import type {
  BackendConnection,
  BackendStream,
  Failure,
  ResponseEvents,
} from "../../../src/protocols/http/exchange.ts";
import type { Fields } from "../../../src/protocols/http/message/fields.ts";
import { fieldsOf } from "../../../src/protocols/http/message/fields.ts";
import {
  RequestHead,
  type ResponseHead,
  UNKNOWN_LENGTH,
} from "../../../src/protocols/http/message/heads.ts";
import { streamBytes, StreamCheck } from "../../../test/support/bytes.ts";
import { type Ask, ASK_FIELD } from "./ask.ts";

const CANCELLED: Failure = { code: "reset", message: "nobody wants it", unprocessed: false };
const SLOW_MS = 5;
/** Who is slow rests after so many pieces, not after each. */
const SLOW_PIECES = 16;
/** grpc-status of a call that went well. */
const OK = "0";
/** That of one whose backend is gone. */
const UNAVAILABLE = "14";

/** How it ended. */
export interface Outcome {
  /** 0: there was no head. */
  readonly status: number;
  readonly received: number;
  /** The answer came to its end. */
  readonly whole: boolean;
  readonly failure: Failure | null;
  /** Something that must never be, whatever was done to the proxy; empty: nothing. */
  readonly wrong: string;
  /** Of a call of gRPC: what its trailers say; null without any. */
  readonly grpcStatus: string | null;
}

export class Asking implements ResponseEvents {
  readonly ask: Ask;
  readonly over: Promise<Outcome>;
  #stream!: BackendStream;
  #status = 0;
  #grpcStatus: string | null = null;
  #wrong = "";
  #sent = 0;
  #pieces = 0;
  #sentAll = false;
  #isOver = false;
  readonly #check: StreamCheck;
  readonly #over = Promise.withResolvers<Outcome>();
  readonly #cancelAt: number;

  constructor(ask: Ask, group: string, backend: BackendConnection) {
    this.ask = ask;
    this.over = this.#over.promise;
    const isEcho = ask.kind !== "request" || ask.backend === "echo";
    this.#check = new StreamCheck(isEcho ? 2 * ask.id : 2 * ask.id + 1);
    this.#cancelAt = ask.client === "cancels" ? ask.down >> 1 : Infinity;
    this.#stream = backend.request(headOf(ask, group), this);
    if (ask.client === "stalls") {
      this.#stream.pause();
      setTimeout(() => this.#isOver || this.#stream.resume(), ask.stallMs);
    }
    if (ask.client === "cancels") setTimeout(() => this.cancel(), ask.stallMs);
    if (ask.kind !== "websocket") this.#send();
  }

  /** The answer, if there is still one to come, is not wanted any more. */
  cancel(): void {
    if (this.#isOver) return;
    this.#stream.reset(CANCELLED);
    this.#end(false, CANCELLED);
  }

  onInformational({ status }: ResponseHead): void {
    if (this.#status !== 0) this.#wrong ||= `${status} after the head`;
  }

  onResponse({ status, bodyless, fields }: ResponseHead): void {
    if (this.#status !== 0) this.#wrong ||= "a second head";
    this.#status = status;
    this.#grpcStatus = fields.get("grpc-status");
    if (bodyless) this.#end(true, null);
    else if (this.ask.kind === "websocket" && status === 101) this.#send();
  }

  onResponseBody(bytes: Uint8Array): void {
    if (this.#isOver || this.#status === 0) this.#wrong ||= "a body outside of an answer";
    if (this.#status !== 200 && this.#status !== 101) return; // the proxy's own words
    try {
      this.#check.take(bytes);
    } catch (error) {
      this.#wrong ||= (error as Error).message;
    }
    if (this.#check.received > this.#cancelAt) queueMicrotask(() => this.cancel());
  }

  onResponseEnd(trailers: Fields | null): void {
    this.#grpcStatus = trailers?.get("grpc-status") ?? this.#grpcStatus;
    this.#end(true, null);
  }

  onResponseFailure(failure: Failure): void {
    this.#end(false, failure);
  }

  onBackendDrain(): void {
    this.#send();
  }

  /** As much of the body as is taken. */
  #send(): void {
    const { id, up, chunk, client, trailers, kind } = this.ask;
    while (!this.#isOver && this.#sent < up) {
      const bytes = streamBytes(2 * id, this.#sent, Math.min(chunk, up - this.#sent));
      this.#sent += bytes.length;
      if (!this.#stream.sendBody(bytes)) return;
      if (client === "slow" && ++this.#pieces % SLOW_PIECES === 0) {
        setTimeout(() => this.#send(), SLOW_MS);
        return;
      }
    }
    if (this.#isOver || this.#sentAll || (up === 0 && kind === "request")) return;
    this.#sentAll = true;
    const isWebSocket = kind === "websocket";
    this.#stream.sendEnd(trailers && !isWebSocket ? fieldsOf([["x-end", "request"]]) : null);
  }

  #end(whole: boolean, failure: Failure | null): void {
    if (this.#isOver && failure !== CANCELLED) this.#wrong ||= "it ended twice";
    if (this.#isOver) return;
    this.#isOver = true;
    const { received } = this.#check;
    const [status, wrong, grpcStatus] = [this.#status, this.#wrong, this.#grpcStatus];
    // The end of a WebSocket's answer is not that of its request.
    const abandons = whole && status !== 101 && this.ask.up > 0 && !this.#sentAll;
    if (abandons) queueMicrotask(() => this.#stream.reset(CANCELLED));
    this.#over.resolve({ status, received, whole, failure, wrong, grpcStatus });
  }
}

function headOf(ask: Ask, group: string): RequestHead {
  const head = new RequestHead();
  head.method = ask.method;
  head.path = `/${group}/${ask.id}`;
  head.authority = "a.example";
  head.scheme = "https";
  head.contentLength = ask.up === 0 ? 0 : ask.measured ? ask.up : UNKNOWN_LENGTH;
  head.fields.add(ASK_FIELD, JSON.stringify(ask));
  if (ask.trailers) head.takesTrailers = true;
  if (ask.kind === "grpc") {
    head.fields.add("content-type", "application/grpc");
    head.contentLength = UNKNOWN_LENGTH;
  }
  if (ask.kind === "websocket") {
    head.upgrade = "websocket";
    head.contentLength = 0;
    head.fields.add("sec-websocket-version", "13");
    head.fields.add("sec-websocket-key", Buffer.alloc(16, ask.id).toString("base64"));
  }
  return head;
}

/** What is wrong with how it ended, if nothing was done to the proxy meanwhile; empty: nothing. */
export function complaintOf(ask: Ask, outcome: Outcome): string {
  const { status, received, whole, failure, grpcStatus } = outcome;
  if (ask.client === "cancels") return "";
  const told = failure === null ? "" : `, ${failure.code}: ${failure.message}`;
  const ending = `${status}, ${received} bytes, ${whole ? "whole" : "broken off"}${told}`;
  const isOurs = status === 200 || status === 101;
  const isFailure = !whole || status === 502 || (ask.kind === "grpc" && grpcStatus !== OK);
  // Nothing of an answer had come: the proxy gives one of its own.
  if (ask.backend === "mute") {
    const isTold = ask.kind === "grpc" ? grpcStatus === UNAVAILABLE : status === 502;
    return whole && isTold ? "" : `not told: ${ending}`;
  }
  if (ask.backend === "half") {
    return isFailure ? "" : `passed for whole: ${ending}`;
  }
  const expected = ask.method === "HEAD" ? 0 : ask.down;
  if (whole && isOurs && received === expected) {
    const wrong = ask.kind === "grpc" && grpcStatus !== OK;
    return wrong ? `grpc-status ${grpcStatus}: ${ending}` : "";
  }
  return ending;
}

/** An answer that looks whole and is not, which nothing excuses. */
export function isCheat(ask: Ask, { status, received, whole, grpcStatus }: Outcome): boolean {
  if (!whole || (status !== 200 && status !== 101) || ask.client === "cancels") return false;
  if (ask.kind === "grpc" && grpcStatus !== OK) return false;
  // A WebSocket ends as its connection does: over HTTP/1.1 a reset of it may look like an end to who reads.
  return received !== (ask.method === "HEAD" ? 0 : ask.down);
}
