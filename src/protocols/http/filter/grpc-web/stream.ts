// A request of gRPC-Web between its client and an exchange that knows gRPC alone: what the client sends becomes messages of gRPC,
// the backend's trailers become the last frame of the body. Text is Base64 both ways. Made by filter.ts for one request.
//
// Nothing is collected: what comes in goes on in the same call, but for the pieces that Base64 cannot say yet. An answer's
// segments are padded where a message ends, so that each can be read as soon as it is there.

import { GRPC_WEB } from "../../../../shared/limits.ts";
import type { ClientConnection, ClientStream, Failure, RequestEvents } from "../../exchange.ts";
import type { Fields } from "../../message/fields.ts";
import { type ResponseHead, UNKNOWN_LENGTH } from "../../message/heads.ts";
import { idOf } from "../../message/names.ts";
import { refusal } from "../refusal.ts";
import { Base64Decoder, Base64Encoder, decodedBytes, encodedBytes } from "./base64.ts";
import { webAnswerType, type WebType } from "./content-types.ts";
import type { Cors } from "./cors.ts";
import { MessageBounds, trailersFrame } from "./frames.ts";

const CONTENT_TYPE = idOf("content-type");

const MALFORMED: Failure = {
  code: "malformed",
  message: "the body of a gRPC-Web text request is not Base64",
  unprocessed: false,
};

const NO_BYTES = new Uint8Array(0);
/** Each is used within one call, so all streams of a worker share them. */
const decoded = new Uint8Array(decodedBytes(GRPC_WEB.sliceBytes));
const encoded = new Uint8Array(encodedBytes(GRPC_WEB.sliceBytes));

export class GrpcWebStream implements ClientStream, RequestEvents {
  readonly connection: ClientConnection;
  events!: RequestEvents;
  readonly #inner: ClientStream;
  readonly #type: WebType;
  readonly #cors: Cors;
  readonly #origin: string | null;
  readonly #decoder: Base64Decoder | null;
  readonly #encoder: Base64Encoder | null;
  readonly #bounds = new MessageBounds();
  #headSent = false;
  #sent = 0;
  /** The backend answers by gRPC. Otherwise its answer (an error page) is passed on as it is. */
  #translating = false;
  /**
   * The client has its whole answer, or was told that its request is no Base64. Nothing passes any more: the inner stream may be
   * another request's by now.
   */
  #over = false;

  /** @param origin of the page that calls; null if it does not say. */
  constructor(inner: ClientStream, type: WebType, cors: Cors, origin: string | null) {
    this.connection = inner.connection;
    this.#inner = inner;
    this.#type = type;
    this.#cors = cors;
    this.#origin = origin;
    this.#decoder = type.text ? new Base64Decoder() : null;
    this.#encoder = type.textAnswer ? new Base64Encoder() : null;
    inner.events = this;
  }

  // What the client does.

  onRequestBody(bytes: Uint8Array): void {
    if (this.#over) return;
    const decoder = this.#decoder;
    if (decoder === null) {
      this.events.onRequestBody(bytes);
      return;
    }
    for (let at = 0; at < bytes.length && !this.#over; at += GRPC_WEB.sliceBytes) {
      const end = Math.min(at + GRPC_WEB.sliceBytes, bytes.length);
      const written = decoder.decode(bytes, at, end, decoded);
      if (written < 0) this.#refuse();
      else if (written > 0) this.events.onRequestBody(decoded.subarray(0, written));
    }
  }

  onRequestEnd(): void {
    if (this.#over) return;
    if (this.#decoder !== null && !this.#decoder.complete) this.#refuse();
    else this.events.onRequestEnd(null);
  }

  onRequestFailure(failure: Failure): void {
    if (!this.#over) this.events.onRequestFailure(failure);
  }

  onClientDrain(): void {
    if (!this.#over) this.events.onClientDrain();
  }

  #refuse(): void {
    this.#over = true;
    // First, since the connection's next request may come from within the last call to the inner stream.
    this.events.onRequestFailure(this.#headSent ? MALFORMED : { ...MALFORMED, answered: 400 });
    if (this.#headSent) this.#inner.reset(MALFORMED);
    else {
      const { head, body } = refusal(400, MALFORMED.message);
      this.#inner.sendHead(head);
      this.#inner.sendBody(body);
      this.#inner.sendEnd(null);
    }
  }

  // What the exchange does.

  get bodyBytes(): number {
    return this.#inner.bodyBytes ?? this.#sent;
  }

  sendInformational(head: ResponseHead): void {
    if (!this.#over) this.#inner.sendInformational(head);
  }

  sendHead(head: ResponseHead): void {
    if (this.#over) return;
    this.#headSent = true;
    const { fields } = head;
    const contentType = webAnswerType(fields.get("content-type"), this.#type);
    if (contentType !== null) {
      this.#translating = true;
      fields.removeAll(CONTENT_TYPE);
      fields.add("content-type", contentType);
      // An answer that is trailers alone stays one: clients look for the status in the head, too.
      head.contentLength = head.bodyless ? 0 : UNKNOWN_LENGTH;
    }
    this.#cors.editAnswer(this.#origin, fields);
    if (head.bodyless) this.#over = true;
    this.#inner.sendHead(head);
  }

  sendBody(bytes: Uint8Array): boolean {
    if (this.#over) return false;
    if (!this.#translating || this.#encoder === null) return this.#pass(bytes);
    return this.#sendText(this.#encoder, bytes, this.#bounds.passes(bytes));
  }

  sendEnd(trailers: Fields | null): void {
    if (this.#over) return;
    this.#over = true;
    if (!this.#translating) {
      this.#inner.sendEnd(trailers);
      return;
    }
    const frame = trailers === null ? NO_BYTES : trailersFrame(trailers);
    if (this.#encoder !== null) this.#sendText(this.#encoder, frame, true);
    else if (trailers !== null) this.#pass(frame);
    this.#inner.sendEnd(null);
  }

  #pass(bytes: Uint8Array): boolean {
    this.#sent += bytes.length;
    return this.#inner.sendBody(bytes);
  }

  /** @param pad: these bytes are to be read at once. */
  #sendText(encoder: Base64Encoder, bytes: Uint8Array, pad: boolean): boolean {
    let more = true;
    let at = 0;
    do {
      const end = Math.min(at + GRPC_WEB.sliceBytes, bytes.length);
      const written = encoder.encode(bytes, at, end, encoded, pad && end === bytes.length);
      if (written > 0) more = this.#pass(encoded.subarray(0, written));
      at = end;
    } while (at < bytes.length);
    return more;
  }

  reset(failure: Failure): void {
    if (this.#over) return;
    this.#over = true;
    this.#inner.reset(failure);
  }

  pause(): void {
    if (!this.#over) this.#inner.pause();
  }

  resume(): void {
    if (!this.#over) this.#inner.resume();
  }
}
