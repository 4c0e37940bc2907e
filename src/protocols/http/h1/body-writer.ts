// Writes the body of a message in the framing that its head announced (RFC 9112 sections 6 and 7), through the output buffer.
// Invariant: never more than Content-Length says, and a message that is not whole is never ended as if it were. Called by
// server.ts for answers and by backend.ts for requests.

import { H1 } from "../../../shared/limits.ts";
import type { Fields } from "../message/fields.ts";
import { INVALID, roomFor, writeFields } from "./head-writer.ts";
import { octetsOf } from "./octets.ts";
import { OUTPUT, type OutputOwner } from "./output.ts";

/** There is none. */
export const NO_BODY = 0;
/** As many bytes as were announced. */
export const LENGTH = 1;
export const CHUNKED = 2;
/** Until the connection ends, or no HTTP any more. */
export const RAW = 3;
export type BodyFraming = typeof NO_BODY | typeof LENGTH | typeof CHUNKED | typeof RAW;

const CRLF = octetsOf("\r\n");
const HEX = octetsOf("0123456789abcdef");
const LAST_CHUNK = octetsOf("0\r\n\r\n");
/** Of `length` in hex, CRLF on both its sides and behind the chunk. */
const CHUNK_ROOM = 24;

export class BodyWriter {
  framing: BodyFraming = NO_BODY;
  readonly #owner: OutputOwner;
  /** Of LENGTH: what is still to come. */
  #left = 0;

  constructor(owner: OutputOwner) {
    this.#owner = owner;
  }

  /** @param length of LENGTH. */
  begin(framing: BodyFraming, length: number): void {
    this.framing = framing;
    this.#left = length;
  }

  /** @returns false: stop until the wire drains. */
  send(bytes: Uint8Array): boolean {
    const owner = this.#owner;
    if (bytes.length === 0) return !owner.full;
    switch (this.framing) {
      case CHUNKED:
        return this.#sendChunk(bytes);
      case LENGTH:
        if (bytes.length > this.#left) bytes = bytes.subarray(0, this.#left);
        this.#left -= bytes.length;
        return bytes.length === 0 ? !owner.full : OUTPUT.send(owner, bytes);
      case RAW:
        return OUTPUT.send(owner, bytes);
      default:
        return !owner.full;
    }
  }

  #sendChunk(bytes: Uint8Array): boolean {
    const owner = this.#owner;
    const { length } = bytes;
    const joined = length <= H1.joinMaxBytes;
    let at = OUTPUT.claim(owner, CHUNK_ROOM + (joined ? length : 0));
    at = putChunkSize(at, length);
    if (joined) at = OUTPUT.put(at, bytes, 0, length);
    else {
      OUTPUT.used = at;
      OUTPUT.flush();
      OUTPUT.write(owner, bytes);
      at = OUTPUT.claim(owner, CHUNK_ROOM);
    }
    OUTPUT.used = OUTPUT.put(at, CRLF, 0, 2);
    if (joined) OUTPUT.hurry();
    else OUTPUT.settle(); // the next chunk's line may go with it
    return !owner.full;
  }

  /** @returns false if the message is not whole: the connection is of no use then. */
  end(trailers: Fields | null): boolean {
    const { framing } = this;
    this.framing = NO_BODY;
    if (framing === LENGTH && this.#left > 0) return false;
    if (framing === CHUNKED && !this.#endChunks(trailers)) return false;
    OUTPUT.hurry();
    return true;
  }

  #endChunks(trailers: Fields | null): boolean {
    const owner = this.#owner;
    if (trailers === null) {
      const at = OUTPUT.claim(owner, LAST_CHUNK.length);
      OUTPUT.used = OUTPUT.put(at, LAST_CHUNK, 0, LAST_CHUNK.length);
      return true;
    }
    let at = OUTPUT.claim(owner, roomFor(trailers));
    at = OUTPUT.put(at, LAST_CHUNK, 0, 3);
    at = writeFields(OUTPUT, at, trailers);
    if (at === INVALID) return false;
    OUTPUT.used = OUTPUT.put(at, CRLF, 0, 2);
    return true;
  }
}

/** In hex, with its line's end. */
function putChunkSize(at: number, length: number): number {
  const { bytes } = OUTPUT;
  const digits = (35 - Math.clz32(length)) >>> 2; // of at least 1, as length is
  for (let i = digits - 1; i >= 0; i--) bytes[at++] = HEX[(length >>> (i * 4)) & 15]!;
  return OUTPUT.put(at, CRLF, 0, 2);
}
