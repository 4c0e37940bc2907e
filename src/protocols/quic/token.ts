// How a client shows its token, and a server says that it is the right one. Without I/O: who calls it reads and writes
// streams.
//
//   client ── first unidirectional stream: the token, FIN ──▶ server     at once after the handshake
//   client ◀── first unidirectional stream: GRANTED, FIN ─── server     or CONNECTION_CLOSE with QUIC_CODES.unauthorized
//
// The client opens no other stream before it was granted access, so a token never reaches a target: a server that asks for
// none allows no unidirectional streams, which the client sees, and one that asks closes the connection at the first stream of
// another kind. The token travels under TLS only, to a server whose certificate was verified.

import { createHash, timingSafeEqual } from "node:crypto";

import { QUIC_TOKEN } from "../../shared/limits.ts";

/** A server's answer. */
export const GRANTED = new Uint8Array([1]);

/** What a client has sent of its token. */
export class ShownToken {
  readonly #bytes = new Uint8Array(QUIC_TOKEN.maxBytes);
  #length = 0;

  /** @returns false: no token is that long. */
  take(bytes: Uint8Array): boolean {
    if (this.#length + bytes.length > QUIC_TOKEN.maxBytes) return false;
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return true;
  }

  /** In a time that says nothing of either, but the length of what was shown. */
  matches(token: ArrayBuffer): boolean {
    const shown = digest(this.#bytes.subarray(0, this.#length));
    return timingSafeEqual(shown, digest(new Uint8Array(token)));
  }
}

function digest(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}
