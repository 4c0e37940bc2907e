// Reads a body in the framing that its head announced (RFC 9112 section 6.3), split anywhere: so many bytes, or chunks. Pure;
// one for each connection, used again. Called by server.ts for requests and by backend.ts for answers.
//
//   at = body.next(bytes, at, end);   then: refusal │ content in [start, end), which may be empty │ complete, with trailers

import type { Fields } from "../message/fields.ts";
import { UNKNOWN_LENGTH } from "../message/heads.ts";
import { BROKEN, ChunkedReader, DATA, END } from "./chunked-reader.ts";
import type { HeadLimits } from "./head-reader.ts";
import type { Refused } from "./section-reader.ts";

export class BodyReader {
  start = 0;
  end = 0;
  complete = false;
  trailers: Fields | null = null;
  refusal: Refused | null = null;
  readonly #limits: HeadLimits;
  #left = 0;
  /** Of this body; null: it has a length. */
  #chunks: ChunkedReader | null = null;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
  }

  /** @param length UNKNOWN_LENGTH: it is chunked; otherwise more than 0. */
  begin(length: number): void {
    this.complete = false;
    this.trailers = this.refusal = null;
    if (length !== UNKNOWN_LENGTH) this.#left = length;
    else if (this.#chunks === null) this.#chunks = new ChunkedReader(this.#limits);
    else this.#chunks.reset();
    if (length !== UNKNOWN_LENGTH) this.#chunks = null;
  }

  /** Whether more than so many bytes may still come: of chunks nobody knows. */
  mayExceed(bytes: number): boolean {
    return this.#chunks !== null || this.#left > bytes;
  }

  /** @returns the position that was come to. */
  next(bytes: Uint8Array, at: number, end: number): number {
    if (this.#chunks !== null) return this.#nextChunk(this.#chunks, bytes, at, end);
    this.start = at;
    this.end = Math.min(end, at + this.#left);
    this.#left -= this.end - at;
    this.complete = this.#left === 0;
    return this.end;
  }

  #nextChunk(chunks: ChunkedReader, bytes: Uint8Array, at: number, end: number): number {
    const next = chunks.next(bytes, at, end);
    this.start = this.end = 0;
    if (chunks.found === DATA) {
      this.start = chunks.start;
      this.end = chunks.end;
    } else if (chunks.found === END) {
      this.complete = true;
      this.trailers = chunks.trailers;
    } else if (chunks.found === BROKEN) this.refusal = chunks.refusal;
    return next;
  }
}
