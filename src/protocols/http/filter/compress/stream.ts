// An answer on its way to a client that takes it compressed. The head decides whether it is; then each part goes through an
// encoder in the call that brought it. Made by filter.ts for one request.
//
// A body whose length is not known may be a stream that somebody reads as it comes: what one turn of the event loop brought of it
// goes out at that turn's end. Of others the encoder keeps what makes the answer smaller.

import { COMPRESSION } from "../../../../shared/limits.ts";
import type { ClientConnection, ClientStream, Failure, RequestEvents } from "../../exchange.ts";
import { type Fields, REMOVED } from "../../message/fields.ts";
import { type ResponseHead, UNKNOWN_LENGTH } from "../../message/heads.ts";
import { idOf } from "../../message/names.ts";
import { addVary } from "../vary.ts";
import type { Coding } from "./accept-encoding.ts";
import { compressible } from "./content-types.ts";
import type { Encoder, Encoders } from "./encoders.ts";

const CONTENT_ENCODING = idOf("content-encoding");
const CONTENT_RANGE = idOf("content-range");
const CACHE_CONTROL = idOf("cache-control");
const ACCEPT_RANGES = idOf("accept-ranges");
const ETAG = idOf("etag");
const NO_BYTES = new Uint8Array(0);
/** Of the bytes as they are sent (RFC 9530, RFC 3230, RFC 1864): they would be wrong. */
const DIGESTS = ["content-digest", "repr-digest", "digest", "content-md5"];

export class CompressingStream implements ClientStream, RequestEvents {
  readonly connection: ClientConnection;
  events!: RequestEvents;
  readonly #inner: ClientStream;
  readonly #encoders: Encoders;
  /** What the client wants; null: it may be told that the answer depends on what it takes. */
  readonly #coding: Coding | null;
  /** If-None-Match: the ETags of what the client has. */
  readonly #known: string;
  #encoder: Encoder | null = null;
  /** The body's length was not known. */
  #flushes = false;
  #flushWaits = false;
  /** What the inner stream said last. */
  #more = true;
  #sent = 0;
  readonly #take = (bytes: Uint8Array): void => {
    this.#sent += bytes.length;
    this.#more = this.#inner.sendBody(bytes);
  };
  readonly #flush = (): void => {
    this.#flushWaits = false;
    this.#encoder?.write(NO_BYTES, "all", this.#take);
  };

  /** @param known If-None-Match; empty without it. */
  constructor(inner: ClientStream, encoders: Encoders, coding: Coding | null, known: string) {
    this.connection = inner.connection;
    this.#inner = inner;
    this.#encoders = encoders;
    this.#coding = coding;
    this.#known = known;
    inner.events = this;
  }

  get bodyBytes(): number {
    return this.#inner.bodyBytes ?? this.#sent;
  }

  sendHead(head: ResponseHead): void {
    const { fields } = head;
    if (head.status === 304) {
      // It confirms an answer that was compressed here if the client knows that by its weak ETag.
      const etag = fields.get("etag");
      if (etag !== null && this.#known.includes(`W/${etag}`)) {
        addVary(fields, "Accept-Encoding");
        weaken(fields);
      }
    } else if (mayCompress(head)) {
      addVary(fields, "Accept-Encoding");
      this.#begin(head);
    }
    this.#inner.sendHead(head);
  }

  #begin(head: ResponseHead): void {
    if (this.#coding === null) return;
    if (!head.bodyless) {
      this.#encoder = this.#encoders.take(this.#coding);
      if (this.#encoder === null) return;
    }
    const { fields } = head;
    this.#flushes = head.contentLength === UNKNOWN_LENGTH;
    head.contentLength = UNKNOWN_LENGTH;
    fields.removeAll(CONTENT_ENCODING);
    fields.add("content-encoding", this.#coding);
    // Ranges would be of what is sent now, which the backend does not have.
    fields.removeAll(ACCEPT_RANGES);
    weaken(fields);
  }

  sendBody(bytes: Uint8Array): boolean {
    if (this.#encoder === null) {
      this.#sent += bytes.length;
      return this.#inner.sendBody(bytes);
    }
    this.#encoder.write(bytes, "none", this.#take);
    if (this.#flushes && !this.#flushWaits) {
      this.#flushWaits = true;
      queueMicrotask(this.#flush);
    }
    return this.#more;
  }

  sendEnd(trailers: Fields | null): void {
    this.#encoder?.write(NO_BYTES, "end", this.#take);
    this.#release();
    this.#inner.sendEnd(trailers);
  }

  reset(failure: Failure): void {
    this.#release();
    this.#inner.reset(failure);
  }

  onRequestFailure(failure: Failure): void {
    this.#release();
    this.events.onRequestFailure(failure);
  }

  #release(): void {
    const encoder = this.#encoder;
    if (encoder === null) return;
    this.#encoder = null;
    this.#encoders.release(encoder);
  }

  onClientDrain(): void {
    this.#more = true;
    this.events.onClientDrain();
  }

  // What needs no change.

  sendInformational(head: ResponseHead): void {
    this.#inner.sendInformational(head);
  }

  onRequestBody(bytes: Uint8Array): void {
    this.events.onRequestBody(bytes);
  }

  onRequestEnd(trailers: Fields | null): void {
    this.events.onRequestEnd(trailers);
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }
}

/** Whether it would be compressed for a client that takes that. */
function mayCompress({ status, fields, contentLength }: ResponseHead): boolean {
  if (status === 204 || status === 206 || status < 200) return false;
  if (contentLength !== UNKNOWN_LENGTH && contentLength < COMPRESSION.bodyMinBytes) return false;
  if (!compressible(fields.get("content-type"))) return false;
  for (let i = 0; i < fields.count; i++) {
    const id = fields.ids[i]!;
    if (id === REMOVED) continue;
    if (id === CONTENT_RANGE) return false;
    if (id === CONTENT_ENCODING && fields.value(i).toLowerCase() !== "identity") return false;
  }
  return !forbidsTransforming(fields) && DIGESTS.every((name) => fields.findNamed(name) < 0);
}

/** Cache-Control: no-transform (RFC 9111 section 5.2), of a request or an answer. */
export function forbidsTransforming(fields: Fields): boolean {
  for (let i = fields.find(CACHE_CONTROL); i >= 0; i = fields.find(CACHE_CONTROL, i + 1)) {
    if (/(^|[\s,])no-transform($|[\s,])/i.test(fields.value(i))) return true;
  }
  return false;
}

/** Two answers that differ in their bytes must not have one strong validator (RFC 9110 section 8.8.1). */
function weaken(fields: Fields): void {
  const i = fields.find(ETAG);
  if (i < 0) return;
  const value = fields.value(i);
  if (!value.startsWith('"')) return;
  fields.remove(i);
  fields.add("etag", `W/${value}`);
}
