// A proxy in this process with one TLS listener, and clients of it on node:tls. Called by tests of the protocol tls.

import { once } from "node:events";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";

import { Proxy, type ProxyOptions } from "../../src/control/proxy.ts";
import type { ListenerStats } from "../../src/shared/counters.ts";
import { RING_DEFAULTS } from "../../src/shared/limits.ts";
import { NO_OVERLOAD, type Plan } from "../../src/shared/plan.ts";
import { LogLines } from "./log-lines.ts";
import { type TlsOptions, tlsPlan } from "./tls.ts";
import { within } from "./until.ts";
import { Wire } from "./wire.ts";

export interface TlsClient {
  readonly socket: TLSSocket;
  readonly wire: Wire;
}

export class TlsRelay implements AsyncDisposable {
  readonly proxy: Proxy;
  readonly log: LogLines;

  private constructor(proxy: Proxy, log: LogLines) {
    this.proxy = proxy;
    this.log = log;
  }

  static async start(
    options: TlsOptions & { workers?: number; shutdownTimeoutMs?: number },
    around: ProxyOptions = {},
  ): Promise<TlsRelay> {
    const plan: Plan = {
      engine: "auto",
      workers: options.workers ?? 1,
      shutdownDelayMs: 0,
      overload: NO_OVERLOAD,
      shutdownTimeoutMs: options.shutdownTimeoutMs ?? 10_000,
      autoTls: null,
      admin: null,
      ring: RING_DEFAULTS,
      log: { level: "debug", format: "json" },
      listeners: [tlsPlan(options)],
    };
    const log = new LogLines();
    return new TlsRelay(await Proxy.start(plan, { log: log.log, ...around }), log);
  }

  get port(): number {
    const [bound] = this.proxy.listeners()[0]!.bound;
    return bound?.kind === "ip" ? bound.port : 0;
  }

  get stats(): ListenerStats {
    return Object.values(this.proxy.stats().listeners)[0]!;
  }

  /** After its handshake. @throws Error of the handshake. */
  async connect(options: ConnectionOptions = {}): Promise<TlsClient> {
    const all = {
      host: "127.0.0.1",
      port: this.port,
      servername: "a.example",
      allowHalfOpen: true,
    };
    const socket = connect({ ...all, ...options } as ConnectionOptions);
    const wire = new Wire(socket);
    await within("the handshake", once(socket, "secureConnect"));
    return { socket, wire };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.kill();
  }
}
