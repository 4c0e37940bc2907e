// A backend's side of one request: what its Ask says. Called by backends.ts for every version of HTTP.

import type { ClientStream, Failure, RequestEvents } from "../../../src/protocols/http/exchange.ts";
import { acceptOf } from "../../../src/protocols/http/filter/websocket.ts";
import { type Fields, fieldsOf } from "../../../src/protocols/http/message/fields.ts";
import {
  type RequestHead,
  ResponseHead,
  UNKNOWN_LENGTH,
} from "../../../src/protocols/http/message/heads.ts";
import { streamBytes, StreamCheck } from "../../../test/support/bytes.ts";
import type { Ask } from "./ask.ts";

const BROKEN: Failure = { code: "reset", message: "as it was asked", unprocessed: false };

export interface AnsweringHost {
  violate(what: string): void;
  /** It was answered, or never will be. */
  over(): void;
  /** The connection takes no more requests, and says so. */
  leave(): void;
  /** It is closed without a word. */
  slam(): void;
}

/** Answers `ask`. */
export class Answering implements RequestEvents {
  readonly #stream: ClientStream;
  readonly #ask: Ask;
  readonly #host: AnsweringHost;
  readonly #check: StreamCheck;
  readonly #isEcho: boolean;
  readonly #key: string | null;
  readonly #upgrade: string;
  #sent = 0;
  #headSent = false;
  #over = false;

  constructor(stream: ClientStream, head: RequestHead, ask: Ask, host: AnsweringHost) {
    this.#stream = stream;
    this.#ask = ask;
    this.#host = host;
    this.#key = head.fields.get("sec-websocket-key");
    this.#upgrade = head.upgrade;
    this.#isEcho = ask.kind !== "request" || ask.backend === "echo";
    this.#check = new StreamCheck(2 * ask.id);
    stream.events = this;
    this.#begin();
  }

  #begin(): void {
    const { backend, stallMs, informational } = this.#ask;
    if (informational) {
      const hint = new ResponseHead();
      hint.status = 103;
      this.#stream.sendInformational(hint);
    }
    if (backend === "mute") {
      this.#stream.resume();
      setTimeout(() => this.#break(), stallMs >> 3);
    } else if (this.#isEcho) {
      this.#sendHead();
      this.#stream.resume();
      if (backend === "half") setTimeout(() => this.#break(), stallMs >> 3);
    } else if (backend === "early") this.#answer();
    else if (backend === "stalls") setTimeout(() => this.#over || this.#stream.resume(), stallMs);
    else this.#stream.resume();
  }

  onRequestBody(bytes: Uint8Array): void {
    if (this.#over) return;
    try {
      this.#check.take(bytes);
    } catch (error) {
      this.#host.violate(`at a backend: ${(error as Error).message} ${JSON.stringify(this.#ask)}`);
    }
    if (this.#isEcho && this.#headSent && !this.#stream.sendBody(bytes)) this.#stream.pause();
  }

  onRequestEnd(): void {
    if (this.#over) return;
    const { up, backend } = this.#ask;
    // An upgrade that is cut ends, too.
    if (this.#check.received !== up && this.#upgrade === "") {
      this.#host.violate(
        `at a backend: an end after ${this.#check.received} bytes ${JSON.stringify(this.#ask)}`,
      );
    }
    if (backend === "mute" || (this.#isEcho && backend === "half")) return;
    if (this.#isEcho) this.#finish();
    else this.#answer();
  }

  onRequestFailure(): void {
    if (!this.#over) this.#host.over();
    this.#over = true;
  }

  onClientDrain(): void {
    if (this.#over) return;
    if (this.#isEcho) this.#stream.resume();
    else this.#send();
  }

  #sendHead(): void {
    const { down, measured, kind, method } = this.#ask;
    const head = new ResponseHead();
    if (this.#upgrade !== "") {
      head.status = 101;
      if (this.#key !== null) head.fields.add("sec-websocket-accept", acceptOf(this.#key));
    }
    if (kind === "grpc") head.fields.add("content-type", "application/grpc");
    head.contentLength = measured && !this.#isEcho ? down : UNKNOWN_LENGTH;
    head.bodyless = method === "HEAD";
    this.#headSent = true;
    this.#stream.sendHead(head);
    if (head.bodyless) this.#close();
  }

  #answer(): void {
    if (this.#over) return;
    this.#sendHead();
    if (!this.#over) this.#send();
  }

  #send(): void {
    const { id, down, chunk, backend } = this.#ask;
    const until = backend === "half" ? down >> 1 : down;
    while (this.#sent < until) {
      const bytes = streamBytes(2 * id + 1, this.#sent, Math.min(chunk, until - this.#sent));
      this.#sent += bytes.length;
      if (!this.#stream.sendBody(bytes)) return;
    }
    if (backend === "half") this.#break();
    else this.#finish();
  }

  #finish(): void {
    const { trailers, kind } = this.#ask;
    const fields: Fields | null =
      !trailers || this.#upgrade !== ""
        ? null
        : fieldsOf([[kind === "grpc" ? "grpc-status" : "x-end", "0"]]);
    this.#stream.sendEnd(fields);
    this.#close();
  }

  /** It is answered: what becomes of the connection. */
  #close(): void {
    this.#over = true;
    const { backend, stallMs } = this.#ask;
    this.#host.over();
    if (backend === "leaves") this.#host.leave();
    if (backend === "slams") setTimeout(() => this.#host.slam(), stallMs >> 4);
  }

  #break(): void {
    if (this.#over) return;
    this.#over = true;
    this.#host.over();
    this.#stream.reset(BROKEN);
  }
}
