// Proxies in this process with one QUIC listener, or with one TCP listener that leads to a quic:// target, and clients of the
// first by the program's own driver. Called by tests of the protocol quic.

import { Proxy } from "../../src/control/proxy.ts";
import { pickDriver } from "../../src/protocols/quic/pick.ts";
import {
  type QuicConnection,
  type QuicConnectOptions,
  QuicError,
  type QuicStream,
  type QuicTransport,
} from "../../src/protocols/quic/transport.ts";
import { parseEndpoint } from "../../src/shared/address.ts";
import type { ListenerStats } from "../../src/shared/counters.ts";
import type { LinkPlan, TlsClientPlan } from "../../src/shared/http-plan.ts";
import { QUIC_DEFAULTS, QUIC_TARGET_DEFAULTS, RING_DEFAULTS } from "../../src/shared/limits.ts";
import { GROUP_DEFAULTS, type ListenerPlan, NO_OVERLOAD } from "../../src/shared/plan.ts";
import type { QuicClientPlan, QuicDriverChoice, QuicPlan } from "../../src/shared/quic-plan.ts";
import { Recorder } from "../protocols/wire/recorder.ts";
import { TestHost } from "./gateway-host.ts";
import { LogLines } from "./log-lines.ts";
import { type TlsOptions, tlsPlan } from "./tls.ts";
import { within } from "./until.ts";
import { Wire } from "./wire.ts";

export interface QuicOptions extends Omit<TlsOptions, "routes" | "sendProxy"> {
  quic?: Partial<QuicPlan["quic"]>;
  workers?: number;
  shutdownTimeoutMs?: number;
}

export interface LinkOptions {
  /** Each `host:port`. */
  targets: readonly string[];
  tls?: Partial<TlsClientPlan>;
  quic?: Partial<QuicClientPlan>;
  workers?: number;
  connectMs?: number;
  idleMs?: number;
}

/** A proxy with one listener. */
export class StreamRelay implements AsyncDisposable {
  readonly proxy: Proxy;
  readonly log: LogLines;

  private constructor(proxy: Proxy, log: LogLines) {
    this.proxy = proxy;
    this.log = log;
  }

  static async start(
    listener: ListenerPlan,
    { workers = 1, shutdownTimeoutMs = 10_000 }: { workers?: number; shutdownTimeoutMs?: number },
  ): Promise<StreamRelay> {
    const log = new LogLines();
    const plan = {
      engine: "auto",
      workers,
      shutdownTimeoutMs,
      shutdownDelayMs: 0,
      overload: NO_OVERLOAD,
      autoTls: null,
      admin: null,
      ring: RING_DEFAULTS,
      log: { level: "debug", format: "json" },
      listeners: [listener],
    } as const;
    return new StreamRelay(await Proxy.start(plan, { log: log.log }), log);
  }

  get port(): number {
    const [bound] = this.proxy.listeners()[0]!.bound;
    return bound?.kind === "ip" ? bound.port : 0;
  }

  get stats(): ListenerStats {
    return Object.values(this.proxy.stats().listeners)[0]!;
  }

  /** Details of refusals with this reason. */
  refusals(reason: string): string[] {
    const told = this.log.lines.filter(({ fields }) => fields.reason === reason);
    return told.map(({ fields }) => String(fields.detail));
  }

  /** Over TCP. */
  connect(): Promise<Wire> {
    return Wire.connect({ host: "127.0.0.1", port: this.port });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.kill();
  }
}

export function startQuic(options: QuicOptions): Promise<StreamRelay> {
  const { quic, listen = "127.0.0.1:0" } = options;
  const { tls, groups, access, limits, timeouts, socket, buffers } = tlsPlan(options);
  const plan: QuicPlan = {
    key: `quic ${listen}`,
    protocol: "quic",
    listen: parseEndpoint(listen, "listen"),
    tls: { ...tls, minVersion: "1.3", alpn: options.alpn ?? QUIC_DEFAULTS.alpn },
    groups,
    access,
    limits,
    timeouts,
    socket,
    buffers,
    quic: {
      driver: "auto",
      keepAliveMs: QUIC_DEFAULTS.keepAliveMs,
      idleMs: QUIC_DEFAULTS.idleMs,
      streams: QUIC_DEFAULTS.streams,
      tokenFile: null,
      earlyData: false,
      ...quic,
    },
  };
  return StreamRelay.start(plan, options);
}

export function startLink(options: LinkOptions): Promise<StreamRelay> {
  const targets = options.targets.map((target) => ({
    endpoint: parseEndpoint(target, "target"),
    weight: 1,
    backup: false,
    tls: { serverName: null, caFile: null, certificate: null, insecure: false, ...options.tls },
    quic: {
      driver: "auto" as const,
      alpn: QUIC_DEFAULTS.alpn,
      keepAliveMs: QUIC_TARGET_DEFAULTS.keepAliveMs,
      idleMs: QUIC_TARGET_DEFAULTS.idleMs,
      tokenFile: null,
      ...options.quic,
    },
  }));
  const { connectMs, idleMs } = options;
  const common = tlsPlan({
    ...(connectMs === undefined ? {} : { connectMs }),
    ...(idleMs === undefined ? {} : { idleMs }),
    groups: [{ balance: "round_robin", targets, ...GROUP_DEFAULTS }],
  });
  const plan: LinkPlan = { ...common, key: "tcp 127.0.0.1:0", protocol: "link", tls: null };
  return StreamRelay.start(plan, options);
}

/** Of clients: one stream for the answer to a token. */
export const TRANSPORT: QuicTransport = {
  idleMs: 30_000,
  keepAliveMs: 0,
  handshakeMs: 5_000,
  bidirectionalStreams: 0,
  unidirectionalStreams: 1,
  streamWindow: 1024 * 1024,
  connectionWindow: 16 * 1024 * 1024,
  datagrams: false,
};

/** A client of a QUIC listener. */
export class QuicPeer {
  readonly connection: QuicConnection;
  /** How it ended, if not by us. */
  readonly closed: Promise<QuicError | null>;
  /** What the server opened. */
  readonly opened: QuicStream[] = [];

  private constructor(connection: QuicConnection) {
    this.connection = connection;
    const closed = Promise.withResolvers<QuicError | null>();
    this.closed = closed.promise;
    connection.handler = {
      onStream: (stream) => {
        this.opened.push(stream);
        new Recorder().adopt(stream);
      },
      onDatagram: () => {},
      onStreamsAvailable: () => {},
      onClose: closed.resolve,
    };
  }

  /** @throws QuicError of the handshake. */
  static async connect(
    port: number,
    ca: string,
    { driver = "auto", ...options }: PeerOptions = {},
  ): Promise<QuicPeer> {
    const result = Promise.withResolvers<QuicPeer>();
    pickDriver(driver, new TestHost()).connect(
      {
        address: { kind: "ip", host: "127.0.0.1", port },
        serverName: "a.example",
        alpn: QUIC_DEFAULTS.alpn,
        certificates: { group: 0, index: 0, ca, certificate: null },
        insecure: false,
        transport: TRANSPORT,
        watermarks: { highBytes: 256 * 1024, lowBytes: 64 * 1024 },
        earlyData: false,
        keyLog: null,
        ...options,
      },
      (connection, error) => {
        if (connection === null) result.reject(error);
        else result.resolve(new QuicPeer(connection));
      },
    );
    return within("the QUIC handshake", result.promise);
  }

  /** @throws Error if the server allows no more. */
  open(): { stream: QuicStream; recorder: Recorder } {
    return adopted(this.connection.openStream());
  }

  /** Shows a token, as the program's own clients do. */
  show(token: string): void {
    const { recorder } = adopted(this.connection.openUnidirectional());
    recorder.write(Buffer.from(token));
    recorder.end();
  }
}

export type PeerOptions = Partial<QuicConnectOptions> & { driver?: QuicDriverChoice };

function adopted(stream: QuicStream | null): { stream: QuicStream; recorder: Recorder } {
  if (stream === null) throw new Error("the server allows no stream");
  const recorder = new Recorder();
  recorder.adopt(stream);
  return { stream, recorder };
}
