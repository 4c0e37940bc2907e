// As little as can stand between a client's stream and a backend's: it passes on what each tells, with backpressure, and
// answers 502 for a backend that fails before its answer. Nothing is edited.

import type {
  BackendConnection,
  BackendStream,
  ClientStream,
  Failure,
  RequestEvents,
  ResponseEvents,
} from "../../../../../src/protocols/http/exchange.ts";
import type { Fields } from "../../../../../src/protocols/http/message/fields.ts";
import { type RequestHead, ResponseHead } from "../../../../../src/protocols/http/message/heads.ts";

export class MiniExchange implements RequestEvents, ResponseEvents {
  readonly failures: Failure[] = [];
  readonly #client: ClientStream;
  #backend: BackendStream | null = null;
  #requestDone: boolean;
  #answerDone = false;
  #answered = false;
  #tunnel = false;
  #over = false;

  constructor(client: ClientStream, head: RequestHead) {
    this.#client = client;
    this.#requestDone = head.contentLength === 0 && head.upgrade === "";
    client.events = this;
  }

  /** On a connection that is free. */
  start(connection: BackendConnection, head: RequestHead): void {
    if (this.#over) return;
    this.#backend = connection.request(head, this);
    if (!this.#requestDone && head.upgrade === "") this.#client.resume();
  }

  onRequestBody(bytes: Uint8Array): void {
    if (!this.#backend!.sendBody(bytes)) this.#client.pause();
  }

  onRequestEnd(trailers: Fields | null): void {
    if (this.#requestDone) return;
    this.#requestDone = true;
    this.#backend!.sendEnd(trailers);
  }

  onRequestFailure(failure: Failure): void {
    this.failures.push(failure);
    this.#over = true;
    this.#backend?.reset(failure);
  }

  onClientDrain(): void {
    this.#backend?.resume();
  }

  onInformational(head: ResponseHead): void {
    this.#client.sendInformational(head);
  }

  onResponse(head: ResponseHead): void {
    this.#answered = true;
    this.#tunnel = head.status === 101;
    if (head.bodyless && !this.#tunnel) this.#complete();
    this.#client.sendHead(head);
    if (this.#tunnel) this.#client.resume();
  }

  onResponseBody(bytes: Uint8Array): void {
    if (!this.#client.sendBody(bytes)) this.#backend!.pause();
  }

  onResponseEnd(trailers: Fields | null): void {
    this.#answerDone = true;
    if (!this.#tunnel) this.#complete();
    this.#client.sendEnd(trailers);
  }

  #complete(): void {
    this.#over = true;
    if (!this.#requestDone) this.#backend!.reset(EARLY);
  }

  onResponseFailure(failure: Failure): void {
    this.failures.push(failure);
    this.#over = true;
    if (this.#answered && !this.#answerDone) return this.#client.reset(failure);
    if (this.#answered) return;
    const head = new ResponseHead();
    head.status = 502;
    head.contentLength = 0;
    head.bodyless = true;
    this.#client.sendHead(head);
  }

  onBackendDrain(): void {
    this.#client.resume();
  }
}

const EARLY: Failure = { code: "closed", message: "answered early", unprocessed: false };
