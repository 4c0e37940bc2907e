// One request on a connection to an HTTP/2 backend, as the gateway knows it (BackendStream). Made by client.ts.

import type { BackendStream, Failure, ResponseEvents } from "../exchange.ts";
import type { Fields } from "../message/fields.ts";
import { type RequestHead, ResponseHead, UNKNOWN_LENGTH } from "../message/heads.ts";
import { Stream, type StreamOwner } from "./stream.ts";

export class ClientStream extends Stream implements BackendStream {
  readonly #events: ResponseEvents;
  readonly #bodyless: boolean;
  readonly #upgrade: boolean;
  /** The whole answer was told with its head. */
  #told = false;
  /** It has not been opened, and its number is another's. */
  #unsent = false;
  /** Answers of status 1xx. */
  interims = 0;

  constructor(
    id: number,
    owner: StreamOwner,
    sendWindow: number,
    events: ResponseEvents,
    head: RequestHead,
  ) {
    super(id, owner, sendWindow);
    this.#events = events;
    this.#bodyless = head.method === "HEAD";
    this.#upgrade = head.upgrade !== "";
    this.resume(); // only bodies of requests begin paused
  }

  /** A head that came: 1xx, or the answer's own. @param ended END_STREAM came with it. */
  takeHead(head: ResponseHead, ended: boolean): void {
    const { status } = head;
    if (status < 200) return this.#events.onInformational(head);
    this.hasHead = true;
    const accepted = this.#upgrade && status < 300;
    if (accepted) {
      head.status = 101;
      head.contentLength = UNKNOWN_LENGTH;
    } else if (this.#upgrade) this.sendEnd(null); // there is no more of what was not taken up
    head.bodyless = ended || this.#bodyless || status === 204 || status === 304;
    if (head.bodyless) {
      this.#told = true;
      this.resume();
    } else if (head.contentLength >= 0) this.bodyLeft = head.contentLength;
    this.#events.onResponse(head);
  }

  /** The backend takes no extended CONNECT: nothing of it is sent, and `refuseUpgrade` follows. */
  keepBack(): void {
    this.#unsent = this.localEnded = true;
  }

  override reset(failure: Failure): void {
    if (this.#unsent) this.over = true;
    else super.reset(failure);
  }

  refuseUpgrade(): void {
    if (this.over) return;
    this.over = this.#told = true;
    const head = new ResponseHead();
    head.status = 501;
    head.contentLength = 0;
    head.bodyless = true;
    this.#events.onResponse(head);
  }

  protected tellData(bytes: Uint8Array): void {
    if (!this.#told) this.#events.onResponseBody(bytes);
  }

  protected tellEnd(trailers: Fields | null): void {
    if (!this.#told) this.#events.onResponseEnd(trailers);
  }

  tellFailure(failure: Failure): void {
    if (!this.#told) this.#events.onResponseFailure(failure);
  }

  tellDrain(): void {
    this.#events.onBackendDrain();
  }
}
