// One client's connection over QUIC, which speaks HTTP/3: ALPN has said so. Created by listener.ts.

import type { Visit } from "../admission.ts";
import type { QuicConnection } from "../quic/transport.ts";
import { type ClientOwner, GatewayClient } from "./client.ts";
import type { ServerConnection } from "./exchange.ts";

export class QuicClient extends GatewayClient {
  readonly #server: ServerConnection;

  constructor(owner: ClientOwner, quic: QuicConnection, visit: Visit, now: number) {
    super(owner, quic.peer, quic.tls, visit, now);
    this.#server = owner.serveHttp3({
      quic,
      connection: this,
      take: (stream, head) => owner.take(this, stream, head),
      events: this,
    });
  }

  turnAway(all: boolean): void {
    if (all) this.#server.drain();
  }

  drain(): void {
    this.#server.drain();
  }

  sweep(now: number): void {
    this.#server.sweep(now);
  }

  protected cut(): void {
    this.#server.destroy();
  }
}
