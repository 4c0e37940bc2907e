// One request on a client's HTTP/3 connection, as the gateway knows it (ClientStream). Made by server.ts.
//
// Invariant: of a body that nobody takes yet, at most what one call brought is held here; the rest waits in the driver, bounded
// by the stream's window. The stream is over when QUIC has taken all of the answer, not when it was given the end.

import { HTTP_RELAY } from "../../../shared/limits.ts";
import type { QuicError } from "../../quic/transport.ts";
import type { ClientConnection, ClientStream, Failure, RequestEvents } from "../exchange.ts";
import { isGrpc } from "../grpc.ts";
import { Pace } from "../h1/pace.ts";
import { ByteQueue } from "../h2/byte-queue.ts";
import type { Fields } from "../message/fields.ts";
import { type RequestHead, type ResponseHead, UNKNOWN_LENGTH } from "../message/heads.ts";
import { NOBODY } from "../nobody.ts";
import { closedBy } from "./connection.ts";
import * as C from "./constants.ts";
import { Stream, type StreamOwner } from "./stream.ts";
import { writeResponse } from "./write-section.ts";

/** What a stream needs of its server. */
export interface ServerStreamOwner extends StreamOwner {
  readonly connection: ClientConnection;
  /** A head came. @param ended and the request's end with it. @returns why it is malformed; empty if it is not. */
  request(stream: ServerStream, ended: boolean): string;
  /** Its head is beyond the limits. */
  refuseHead(stream: ServerStream): void;
  malformed(stream: ServerStream, message: string): void;
  /** By its client, before it was answered. */
  cancelled(): void;
}

export class ServerStream extends Stream implements ClientStream {
  events: RequestEvents = NOBODY;
  readonly head: RequestHead;
  readonly #server: ServerStreamOwner;
  #upgrade = false;
  /** Its head was as it should be, and went to the taker. */
  taken = false;
  /** A final head was sent. */
  answered = false;
  /** All of the answer was sent. */
  whole = false;
  /** The exchange is over, or there was none: nothing is told. */
  #done = false;
  #paused = true;
  #held: ByteQueue | null = null;
  #endHeld = false;
  #trailersHeld: Fields | null = null;
  /** When it was opened, as the connection's last sweep knows it. */
  readonly sinceMs: number;
  readonly #pace = new Pace();

  constructor(server: ServerStreamOwner, head: RequestHead, nowMs: number) {
    super(server);
    this.#server = server;
    this.head = head;
    this.sinceMs = nowMs;
  }

  get connection(): ClientConnection {
    return this.#server.connection;
  }

  get early(): boolean {
    return this.quic?.early ?? false;
  }

  // What is answered.

  sendInformational(head: ResponseHead): void {
    if (!this.over && !this.answered && !this.localEnded) writeResponse(this, head, false);
  }

  sendHead(head: ResponseHead): void {
    if (this.over || this.answered || this.localEnded) return;
    this.answered = true;
    const accepted = head.status === 101 || head.status === 200;
    const upgraded = this.#upgrade && accepted && !head.bodyless;
    if (!upgraded) this.#upgrade = false;
    this.isLast = head.bodyless;
    writeResponse(this, head, upgraded);
    if (head.bodyless) this.finishSending();
  }

  protected override finishSending(): void {
    super.finishSending();
    this.whole = true;
    // The answer is whole. What is left of the request is of no use to anybody, unless both directions live apart.
    if (this.#upgrade) return;
    this.#done = true;
    this.#drop();
    this.stopReading(C.H3_NO_ERROR); // RFC 9114 section 4.1
  }

  /** Both ends were given: it is over when QUIC says so. */
  protected override closeIfDone(): void {}

  override abort(code: number): void {
    this.#done = true;
    this.#drop();
    super.abort(code);
  }

  // What is asked.

  protected takeHead(bytes: Uint8Array, start: number, end: number): void {
    if (!this.decode(bytes, start, end, this.head.fields)) return;
    const ended = this.endsHere;
    if (!ended) this.quic!.pause();
    this.hasHead = true;
    const wrong = this.#server.request(this, ended);
    if (wrong !== "") this.malformed(wrong);
  }

  /** The head is as it should be: what may follow. */
  begin(ended: boolean): void {
    const { contentLength, upgrade } = this.head;
    this.taken = true;
    this.#upgrade = upgrade !== "";
    if (!ended && contentLength !== UNKNOWN_LENGTH) this.bodyLeft = contentLength;
    this.remoteEnded = ended;
  }

  protected headTooLarge(): void {
    this.#done = true;
    this.hasHead = true;
    this.#server.refuseHead(this);
  }

  protected endedEarly(): void {
    this.malformed("a stream that ends without a request");
  }

  protected override malformed(message: string): void {
    if (this.over) return;
    this.#server.malformed(this, message);
    this.tellFailure({ code: "malformed", message, unprocessed: false });
    this.abort(C.H3_MESSAGE_ERROR);
  }

  protected tellBody(bytes: Uint8Array): void {
    if (this.#done) return;
    if (!this.#paused && this.#held === null) return this.events.onRequestBody(bytes);
    this.#held ??= new ByteQueue();
    this.#held.append(bytes, 0);
  }

  tellEnd(trailers: Fields | null): void {
    if (this.#done) return;
    if (this.#held === null) return this.events.onRequestEnd(trailers);
    this.#endHeld = true;
    this.#trailersHeld = trailers;
  }

  override pause(): void {
    this.#paused = true;
    super.pause();
  }

  override resume(): void {
    if (this.over) return;
    this.#paused = false;
    const held = this.#held;
    if (held !== null) {
      this.#held = null;
      this.events.onRequestBody(held.takeAll());
    }
    if (this.#paused || this.over || this.#done) return;
    if (this.#endHeld) {
      this.#endHeld = false;
      this.events.onRequestEnd(this.#trailersHeld);
    } else super.resume();
  }

  tellFailure(failure: Failure): void {
    if (this.#done) return;
    this.#done = true;
    this.#drop();
    this.events.onRequestFailure(failure);
  }

  tellDrain(): void {
    if (!this.#done) this.events.onClientDrain();
  }

  override onStopSending(code: number): void {
    if (this.over || this.localEnded) return;
    super.onStopSending(code);
    this.#cancelled(`the client wants no answer any more (${C.errorName(code)})`);
    this.stopReading(code);
  }

  protected closed(error: QuicError | null): void {
    if (this.localEnded && this.remoteEnded) return;
    if (error?.code !== "ERR_QUIC_RESET") return this.tellFailure(closedBy(error));
    this.#cancelled(`the client reset the stream (${C.errorName(error.wireCode)})`);
  }

  #cancelled(message: string): void {
    if (this.#done) return;
    this.tellFailure({ code: "reset", message, unprocessed: false });
    this.#server.cancelled();
  }

  #drop(): void {
    this.#held?.clear();
    this.#held = null;
    this.#endHeld = false;
    this.#trailersHeld = null;
  }

  /** A part of the answer waits for the client to read. */
  get owesReading(): boolean {
    return !this.over && this.pending > 0;
  }

  /** An upload whose client is to blame if nothing comes: not one that talks with its backend. */
  sendsTooSlowly(nowMs: number, bytesPerSecond: number): boolean {
    const owes = !this.remoteEnded && !this.#paused && !this.answered && !this.#upgrade;
    if (owes && !this.#done && !isGrpc(this.head.fields)) {
      return !this.#pace.keeps(nowMs, this.received, bytesPerSecond, HTTP_RELAY.bodyRestMs);
    }
    this.#pace.rest();
    return false;
  }
}
