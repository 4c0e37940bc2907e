// One request on a connection to an HTTP/3 backend, as the gateway knows it (BackendStream). Made by client.ts. While the backend
// allows no more streams, what is sent waits here: a head, and what one call had of the body.

import { H1 } from "../../../shared/limits.ts";
import type { QuicError, QuicStream } from "../../quic/transport.ts";
import type { BackendStream, Failure, ResponseEvents } from "../exchange.ts";
import { ByteQueue } from "../h2/byte-queue.ts";
import { readResponse } from "../h2/section.ts";
import type { Fields } from "../message/fields.ts";
import { type RequestHead, ResponseHead, UNKNOWN_LENGTH } from "../message/heads.ts";
import { closedBy } from "./connection.ts";
import * as C from "./constants.ts";
import { Stream, type StreamOwner } from "./stream.ts";
import { writeRequest } from "./write-section.ts";

/** Valid during the call in which it is told. */
const answer = new ResponseHead();

export class ClientStream extends Stream implements BackendStream {
  readonly #events: ResponseEvents;
  readonly #bodyless: boolean;
  readonly #upgrade: boolean;
  /** Of a stream that is not open yet; null: it is. */
  #waiting: ByteQueue | null = null;
  #paused = false;
  #owesDrain = false;
  /** The whole answer was told with its head. */
  #told = false;
  /** Answers of status 1xx. */
  #interims = 0;

  constructor(owner: StreamOwner, events: ResponseEvents, head: RequestHead) {
    super(owner);
    this.#events = events;
    this.#bodyless = head.method === "HEAD";
    this.#upgrade = head.upgrade !== "";
  }

  /** @param quic null: it is given to `open` later. */
  send(head: RequestHead, quic: QuicStream | null): void {
    if (quic !== null) this.attach(quic);
    else this.#waiting = new ByteQueue();
    this.isLast = head.contentLength === 0 && !this.#upgrade;
    writeRequest(this, head);
    if (this.isLast) this.finishSending();
  }

  /** The backend allows one more stream. */
  open(quic: QuicStream): void {
    const waiting = this.#waiting!;
    this.#waiting = null;
    this.attach(quic);
    if (this.#paused) quic.pause();
    const all = waiting.takeAll();
    if (this.localEnded) return quic.end(all);
    quic.write(all);
    if (this.#owesDrain) this.tellDrain();
  }

  override writeRange(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#waiting === null) return super.writeRange(bytes, start, end);
    if (this.over) return false;
    this.#waiting.append(bytes.subarray(start, end), 0);
    this.#owesDrain = true;
    return false;
  }

  override abort(code: number): void {
    super.abort(code);
    this.#waiting?.clear();
  }

  override lose(failure: Failure): void {
    super.lose(failure);
    this.#waiting?.clear();
  }

  override pause(): void {
    this.#paused = true;
    super.pause();
  }

  override resume(): void {
    this.#paused = false;
    super.resume();
  }

  /** The backend takes no extended CONNECT: nothing of it is sent. */
  refuseUpgrade(): void {
    if (this.over) return;
    this.over = this.#told = true;
    const head = new ResponseHead();
    head.status = 501;
    head.contentLength = 0;
    head.bodyless = true;
    this.#events.onResponse(head);
  }

  protected takeHead(bytes: Uint8Array, start: number, end: number): void {
    answer.clear();
    answer.version = 30;
    if (!this.decode(bytes, start, end, answer.fields)) return;
    let wrong = readResponse(answer, this.endsHere);
    if (answer.status < 200 && ++this.#interims > H1.interimMax) {
      wrong = "too many answers of status 1xx";
    }
    if (wrong !== "") return this.malformed(wrong);
    if (answer.status < 200) return this.#events.onInformational(answer);
    this.hasHead = true;
    this.#tellHead(answer);
  }

  #tellHead(head: ResponseHead): void {
    const { status } = head;
    const accepted = this.#upgrade && status < 300;
    if (accepted) {
      head.status = 101;
      head.contentLength = UNKNOWN_LENGTH;
    } else if (this.#upgrade) this.sendEnd(null); // there is no more of what was not taken up
    const never = this.#bodyless || status === 204 || status === 304;
    if (this.endsHere && !never && head.contentLength > 0) {
      return this.malformed("less content than content-length says");
    }
    head.bodyless = never || this.endsHere;
    if (head.bodyless) {
      this.#told = true;
      this.bodyLeft = 0;
      this.resume(); // for the end
    } else if (head.contentLength >= 0) this.bodyLeft = head.contentLength;
    this.#events.onResponse(head);
  }

  protected headTooLarge(): void {
    this.abort(C.H3_REQUEST_CANCELLED);
    const message = "the answer's head is too large";
    this.tellFailure({ code: "too_large", message, unprocessed: false });
  }

  protected endedEarly(): void {
    this.malformed("a stream that ends without an answer");
  }

  protected tellBody(bytes: Uint8Array): void {
    if (!this.#told) this.#events.onResponseBody(bytes);
  }

  protected tellEnd(trailers: Fields | null): void {
    if (!this.#told) this.#events.onResponseEnd(trailers);
  }

  tellFailure(failure: Failure): void {
    if (!this.#told) this.#events.onResponseFailure(failure);
  }

  tellDrain(): void {
    if (!this.localEnded) this.#events.onBackendDrain();
  }

  protected closed(error: QuicError | null): void {
    if (error?.code === "ERR_QUIC_RESET") {
      const message = `the backend reset the stream (${C.errorName(error.wireCode)})`;
      const unprocessed = error.wireCode === C.H3_REQUEST_REJECTED;
      return this.tellFailure({ code: "stream_reset", message, unprocessed });
    }
    this.tellFailure(closedBy(error));
  }
}
