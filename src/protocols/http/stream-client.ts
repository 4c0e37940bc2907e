// One client's connection over a wire: the codec of the version that it speaks, which ALPN says or, in clear, its first bytes.
// Created by listener.ts.

import { HTTP_RELAY } from "../../shared/limits.ts";
import type { Visit } from "../admission.ts";
import type { Wire, WireHandler } from "../wire/wire.ts";
import { type ClientOwner, GatewayClient } from "./client.ts";
import type { RequestTaker, ServerConnection } from "./exchange.ts";
import { beginsAsHttp2 } from "./h1/preface.ts";

export class StreamClient extends GatewayClient implements WireHandler {
  readonly #wire: Wire;
  /** null: it has sent too little to know which version it speaks. */
  #server: ServerConnection | null = null;
  #firstBytes: Uint8Array | null = null;
  /** HTTP/2 announces its end; HTTP/1.1 can only close. */
  #announces = false;
  #draining = false;

  constructor(owner: ClientOwner, wire: Wire, visit: Visit, now: number) {
    const { peer, tls } = wire;
    super(owner, peer, tls, visit, now);
    this.#wire = wire;
    wire.handler = this;
    if (tls !== null) this.#serve(tls.alpn === "h2", null);
  }

  #serve(isH2: boolean, bytes: Uint8Array | null): void {
    const take: RequestTaker = (stream, head) => this.owner.take(this, stream, head);
    this.#firstBytes = null;
    this.#announces = isH2;
    this.#server = this.owner.serve(isH2, {
      wire: this.#wire,
      connection: this,
      take,
      events: this,
    });
    if (this.#draining) this.#server.drain();
    if (bytes !== null) this.#wire.handler.onData(bytes);
  }

  // The wire, as long as there is no codec.

  onData(bytes: Uint8Array): void {
    const first = this.#firstBytes === null ? bytes : join(this.#firstBytes, bytes);
    const verdict = beginsAsHttp2(first);
    if (verdict === "more") this.#firstBytes = first;
    else this.#serve(verdict === "yes", first);
  }

  onDrain(): void {}

  onEnd(): void {
    this.#wire.end();
  }

  onClose(error: (Error & { code?: string }) | null): void {
    this.leave(error === null ? "end" : (error.code ?? "reset"));
  }

  // The listener.

  /** Whoever has rested for long goes at once; who has just connected, or asked, has a request on its way, most likely. */
  drain(now: number): void {
    this.#draining = true;
    this.#server?.drain();
    this.#server?.sweep(now);
  }

  turnAway(all: boolean): void {
    if (all || !this.#announces) this.#server?.drain();
  }

  sweep(now: number, headMs: number): void {
    if (this.#server !== null) return this.#server.sweep(now);
    const restedMs = now - this.startedMs;
    if (this.#draining && restedMs >= HTTP_RELAY.drainRestMs) this.#wire.end();
    if (restedMs < headMs) return;
    if (this.#firstBytes !== null) this.onRefused("http_head_timeout", "half of a preface");
    this.end("idle");
  }

  protected cut(): void {
    if (this.#server !== null) this.#server.destroy();
    else this.#wire.reset();
  }
}

function join(before: Uint8Array, bytes: Uint8Array): Uint8Array {
  const joined = new Uint8Array(before.length + bytes.length);
  joined.set(before);
  joined.set(bytes, before.length);
  return joined;
}
