// A connection of src/protocols/http/h3 to a server over a real QUIC connection, and what came of its requests. Called by tests
// of what servers say to connections that stay.

import type { BackendEvents, Failure } from "../../src/protocols/http/exchange.ts";
import { Http3Backend } from "../../src/protocols/http/h3/client.ts";
import { pickDriver } from "../../src/protocols/quic/pick.ts";
import type { QuicConnection } from "../../src/protocols/quic/transport.ts";
import { TestHost } from "./gateway-host.ts";
import { type Ask, type Asked, askOn } from "./h2-client.ts";
import { LIMITS } from "./h2-server.ts";
import { TRANSPORT } from "./quic-relay.ts";
import { within } from "./until.ts";

export class H3TestClient implements BackendEvents, Disposable {
  readonly backend: Http3Backend;
  readonly gone: Promise<Failure | null>;
  readonly #ready = Promise.withResolvers<void>();
  readonly #gone = Promise.withResolvers<Failure | null>();

  private constructor(quic: QuicConnection) {
    this.gone = this.#gone.promise;
    this.backend = new Http3Backend({ quic, events: this, limits: LIMITS });
  }

  /** @throws QuicError of the handshake. */
  static async connect(port: number, ca: string): Promise<H3TestClient> {
    const result = Promise.withResolvers<H3TestClient>();
    pickDriver("quiche", new TestHost()).connect(
      {
        address: { kind: "ip", host: "127.0.0.1", port },
        serverName: "a.example",
        alpn: ["h3"],
        certificates: { group: 0, index: 0, ca, certificate: null },
        insecure: false,
        transport: { ...TRANSPORT, unidirectionalStreams: 3 },
        watermarks: { highBytes: 256 * 1024, lowBytes: 64 * 1024 },
        earlyData: false,
        keyLog: null,
      },
      (connection, error) => {
        if (connection === null) result.reject(error);
        else result.resolve(new H3TestClient(connection));
      },
    );
    const client = await within("the QUIC handshake", result.promise);
    await within("SETTINGS", client.#ready.promise);
    return client;
  }

  ask(ask: Ask = {}): Asked {
    return askOn(this.backend, ask);
  }

  onReady(): void {
    this.#ready.resolve();
  }

  onChange(): void {}

  onGone(_connection: unknown, failure: Failure | null): void {
    this.#gone.resolve(failure);
  }

  [Symbol.dispose](): void {
    this.backend.destroy();
  }
}
