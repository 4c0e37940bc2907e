// A server of src/protocols/http/h2 on a socket of its own, in the test's process: for peers that no one here wrote, and for
// tests that talk frames to it.

import type { RequestTaker, ServerEvents } from "../../src/protocols/http/exchange.ts";
import { Http2Server } from "../../src/protocols/http/h2/server.ts";
import { listenPlain } from "../../src/protocols/wire/plain.ts";
import type { Wire } from "../../src/protocols/wire/wire.ts";
import type { HttpLimitsPlan, HttpTimeoutsPlan } from "../../src/shared/http-plan.ts";
import { HTTP_DEFAULTS } from "../../src/shared/limits.ts";
import type { Refusal } from "../../src/shared/messages.ts";
import type { SocketPlan } from "../../src/shared/plan.ts";

export const LIMITS: HttpLimitsPlan = {
  maxConnections: 0,
  maxPerIp: 0,
  acceptRate: 0,
  bytesPerSecond: 0,
  connectionBytesPerSecond: 0,
  headBytes: HTTP_DEFAULTS.headBytes,
  headFields: HTTP_DEFAULTS.headFields,
  bodyBytes: 0,
  streams: HTTP_DEFAULTS.streams,
  requestsPerConnection: 0,
  minBytesPerSecond: HTTP_DEFAULTS.minBytesPerSecond,
};

export const TIMEOUTS: HttpTimeoutsPlan = {
  connectMs: 5_000,
  proxyHeaderMs: 5_000,
  handshakeMs: 10_000,
  headMs: HTTP_DEFAULTS.headMs,
  keepaliveMs: HTTP_DEFAULTS.keepaliveMs,
  responseMs: HTTP_DEFAULTS.responseMs,
  idleMs: HTTP_DEFAULTS.idleMs,
  totalMs: 0,
  backendKeepaliveMs: HTTP_DEFAULTS.backendKeepaliveMs,
  lifetimeMs: 0,
};

export const SOCKET: SocketPlan = {
  nodelay: true,
  quickack: false,
  fastopen: false,
  keepaliveSeconds: 0,
  notsentLowatBytes: null,
  sendBufferBytes: null,
  receiveBufferBytes: null,
};

export interface TestServerOptions {
  readonly limits?: Partial<HttpLimitsPlan>;
  readonly timeouts?: Partial<HttpTimeoutsPlan>;
  readonly port?: number;
}

export class H2TestServer implements Disposable {
  readonly port: number;
  /** In the order in which they connected; those that are gone are not among them. */
  readonly connections = new Set<Http2Server>();
  readonly refusals: { reason: Refusal; detail: string }[] = [];
  readonly #close: () => void;
  readonly #take: RequestTaker;
  readonly #options: TestServerOptions;

  constructor(take: RequestTaker, options: TestServerOptions = {}) {
    this.#take = take;
    this.#options = options;
    const server = listenPlain<true>({
      address: { kind: "ip", host: "127.0.0.1", port: options.port ?? 0 },
      reusePort: false,
      exclusive: false,
      socket: SOCKET,
      setOptions: () => {},
      watermarks: {
        highBytes: HTTP_DEFAULTS.highWatermarkBytes,
        lowBytes: HTTP_DEFAULTS.lowWatermarkBytes,
      },
      onAccept: () => true,
      onWire: (wire) => this.#adopt(wire),
      onRefused: () => {},
    });
    this.port = server.address.kind === "ip" ? server.address.port : 0;
    this.#close = () => server.close();
  }

  #adopt(wire: Wire): void {
    const events: ServerEvents = {
      onGone: () => void this.connections.delete(server),
      onRefused: (reason, detail) => void this.refusals.push({ reason, detail }),
    };
    const server = new Http2Server({
      wire,
      connection: { address: "127.0.0.1", port: wire.peer.port, tls: null, trusted: false },
      take: this.#take,
      events,
      limits: { ...LIMITS, ...this.#options.limits },
      timeouts: { ...TIMEOUTS, ...this.#options.timeouts },
      nowMs: 0,
    });
    this.connections.add(server);
  }

  [Symbol.dispose](): void {
    this.#close();
    for (const connection of this.connections) connection.destroy();
  }
}
