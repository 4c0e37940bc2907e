// The answer of one exchange, as it is written to a client: which framing it gets (RFC 9112 section 6), and where it stands.
// One for each connection, used again. Called by server.ts, which decides what follows.
//
// Invariant: an answer is NONE, EXPECTED, BEGUN or COMPLETE, in this order, and NONE again.

import type { Wire } from "../../wire/wire.ts";
import type { Fields } from "../message/fields.ts";
import {
  type RequestHead,
  type ResponseHead,
  UNKNOWN_LENGTH,
  type Version,
} from "../message/heads.ts";
import { type BodyFraming, BodyWriter, CHUNKED, LENGTH, NO_BODY, RAW } from "./body-writer.ts";
import { type Framing, INVALID, roomFor, writeResponse } from "./head-writer.ts";
import { octetsOf } from "./octets.ts";
import { OUTPUT, type OutputOwner } from "./output.ts";

const NONE = 0;
const EXPECTED = 1;
const BEGUN = 2;
const COMPLETE = 3;

const CONTINUE = octetsOf("HTTP/1.1 100 Continue\r\n\r\n");
const NOT_FRAMED: Framing = {
  close: false,
  keepAlive: false,
  chunked: false,
  length: -1,
  upgrade: "",
};

export class Answer implements OutputOwner, Framing {
  readonly wire: Wire;
  full = false;
  written = 0;
  // What its head says (Framing).
  close = false;
  keepAlive = false;
  chunked = false;
  length = -1;
  upgrade = "";
  readonly #body = new BodyWriter(this);
  #state = NONE;
  #version: Version = 11;
  #isHead = false;
  #offered = "";

  constructor(wire: Wire) {
    this.wire = wire;
  }

  /** A request came in. */
  expect({ version, method, upgrade }: RequestHead): void {
    this.#state = EXPECTED;
    this.#version = version;
    this.#isHead = method === "HEAD";
    this.#offered = upgrade;
  }

  get isUnderWay(): boolean {
    return this.#state === EXPECTED || this.#state === BEGUN;
  }

  get isBegun(): boolean {
    return this.#state >= BEGUN;
  }

  get isComplete(): boolean {
    return this.#state === COMPLETE;
  }

  /** Where the body ends is where the connection does. */
  get endsWithConnection(): boolean {
    return this.close;
  }

  /** HTTP/1.0 knows no 1xx (RFC 9110 section 15.2). */
  get takesInformational(): boolean {
    return this.#state === EXPECTED && this.#version === 11;
  }

  /** @returns false if it cannot be written. */
  sendInformational(head: ResponseHead): boolean {
    const from = OUTPUT.claim(this, roomFor(head.fields));
    const at = writeResponse(OUTPUT, from, head, NOT_FRAMED);
    if (at === INVALID) return false;
    OUTPUT.used = at;
    OUTPUT.hurry();
    return true;
  }

  sendContinue(): void {
    OUTPUT.send(this, CONTINUE);
  }

  /**
   * @param closing no other request is read behind this one.
   * @returns false if it cannot be written.
   */
  sendHead(head: ResponseHead, closing: boolean): boolean {
    const framing = this.#frame(head, closing);
    const from = OUTPUT.claim(this, roomFor(head.fields));
    const at = writeResponse(OUTPUT, from, head, this);
    if (at === INVALID) return false;
    OUTPUT.used = at;
    this.#body.begin(framing, head.contentLength);
    this.#state = head.bodyless && framing !== RAW ? COMPLETE : BEGUN;
    if (this.#state === COMPLETE || framing === RAW) OUTPUT.hurry();
    else OUTPUT.settle();
    return true;
  }

  /** Decides what the head says of framing and connection. */
  #frame({ status, contentLength, bodyless }: ResponseHead, closing: boolean): BodyFraming {
    this.close = closing;
    this.chunked = false;
    this.length = -1;
    this.upgrade = "";
    let framing: BodyFraming = NO_BODY;
    if (status === 101) {
      this.close = this.keepAlive = false;
      this.upgrade = this.#offered;
      return RAW;
    }
    if (status === 204 || status === 304 || this.#isHead) {
      // RFC 9110 section 8.6: of HEAD and 304 it says what GET would have got; 204 has none.
      if (status !== 204) this.length = contentLength;
    } else if (bodyless) this.length = 0;
    else if (contentLength !== UNKNOWN_LENGTH) {
      this.length = contentLength;
      framing = LENGTH;
    } else if (this.#version === 10) {
      this.close = true;
      framing = RAW;
    } else {
      this.chunked = true;
      framing = CHUNKED;
    }
    this.keepAlive = this.#version === 10 && !this.close;
    return framing;
  }

  /** @returns false: stop until the wire drains. */
  sendBody(bytes: Uint8Array): boolean {
    return this.#state === BEGUN ? this.#body.send(bytes) : true;
  }

  /** @returns false if the answer is not whole. */
  sendEnd(trailers: Fields | null): boolean {
    const isWhole = this.#body.end(trailers);
    if (isWhole) this.#state = COMPLETE;
    return isWhole;
  }

  /** Nothing is to be answered. */
  forget(): void {
    this.#state = NONE;
  }

  /** Nothing of it is sent any more. */
  abandon(): void {
    this.#state = COMPLETE;
  }

  /** @returns whether somebody was told to stop. */
  drained(): boolean {
    const { full } = this;
    this.full = false;
    return full;
  }
}
