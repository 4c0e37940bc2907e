// What a handshake and its stream look like from below: the encrypted bytes of a socket, which the runtime shows besides if it is
// asked to. Its end says whether the stream was cut off (tls-end.ts); its beginning is the ClientHello, which is looked at only
// while a certificate authority may come (RFC 8737). Made by tls.ts.

import type { SocketEvents } from "../../engine/bun/connection.ts";
import { parseClientHello } from "../../l4/tls/client-hello.ts";
import { ACME_TLS_1 } from "../../shared/challenges.ts";
import { FIRST_BYTES } from "../../shared/limits.ts";
import type { StreamTail } from "./tls-end.ts";

export class Tap implements SocketEvents {
  readonly #tail: StreamTail | null;
  #hello: HelloBytes | null;

  constructor(tail: StreamTail | null, hello: HelloBytes | null) {
    this.#tail = tail;
    this.#hello = hello;
  }

  receive(chunk: Uint8Array): void {
    this.#tail?.take(chunk);
    if (this.#hello !== null && !this.#hello.take(chunk)) this.#hello = null;
  }

  flush(): void {}
  receiveFin(): void {}
  close(): void {}
}

/** The first bytes of a client, until somebody has asked what they say. */
export class HelloBytes {
  #parts: Uint8Array[] | null = [];
  #length = 0;

  /** @returns whether there is use for more. */
  take(chunk: Uint8Array): boolean {
    if (this.#parts === null) return false;
    this.#parts.push(new Uint8Array(chunk));
    this.#length += chunk.length;
    if (this.#length > FIRST_BYTES.clientHelloWireMaxBytes) this.#parts = null;
    return this.#parts !== null;
  }

  /**
   * Whether the client offers `acme-tls/1` and nothing else (RFC 8737 section 3). Asked once, when the hello is whole: the bytes
   * are forgotten.
   */
  isChallenge(): boolean {
    const outcome = parseClientHello(Buffer.concat(this.#parts ?? []));
    this.#parts = null;
    if (outcome.type !== "hello") return false;
    const { alpn } = outcome.hello;
    return alpn.length === 1 && alpn[0] === ACME_TLS_1;
  }
}
