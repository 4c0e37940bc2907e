// UDP for tests: sockets of node:dgram, which share nothing with the sockets under test, and a proxy in this process with one
// UDP listener. Called by tests of the protocol udp.

import { createSocket, type RemoteInfo, type Socket } from "node:dgram";

import { Proxy, type ProxyOptions } from "../../src/control/proxy.ts";
import { parseEndpoint, type SocketAddress } from "../../src/shared/address.ts";
import type { ListenerStats } from "../../src/shared/counters.ts";
import { RING_DEFAULTS, UDP_DEFAULTS } from "../../src/shared/limits.ts";
import {
  type Balance,
  type BreakerPlan,
  GROUP_DEFAULTS,
  type ListenerPlan,
  NO_OVERLOAD,
  type Plan,
  type TargetPlan,
  type UdpPlan,
} from "../../src/shared/plan.ts";
import { within } from "./until.ts";

export interface UdpAddress {
  readonly host: string;
  readonly port: number;
}

export interface Datagram {
  readonly data: Buffer;
  readonly from: UdpAddress;
}

/** A socket, and the datagrams that came in the order in which they came. */
export class Datagrams implements AsyncDisposable {
  readonly address: UdpAddress;
  readonly received: Datagram[] = [];
  /** Called instead of keeping a datagram. */
  onDatagram: ((datagram: Datagram) => void) | null = null;
  readonly #socket: Socket;
  #waiting: ((datagram: Datagram) => void) | null = null;

  private constructor(socket: Socket, address: UdpAddress) {
    this.#socket = socket;
    this.address = address;
    socket.on("message", (data, from) => this.#take(data, from));
    socket.on("error", () => {}); // ICMP errors of peers that are gone
  }

  static async open(host = "127.0.0.1", port = 0): Promise<Datagrams> {
    const type = host.includes(":") ? "udp6" : "udp4";
    const socket = createSocket({ type, recvBufferSize: 4 * 1024 * 1024 });
    const bound = Promise.withResolvers<void>();
    socket.once("error", bound.reject);
    socket.bind({ address: host, port, exclusive: true }, bound.resolve);
    await bound.promise;
    socket.removeListener("error", bound.reject);
    return new Datagrams(socket, { host, port: socket.address().port });
  }

  /** Sends everything back to where it came from. */
  static async echo(host?: string, port?: number): Promise<Datagrams> {
    const server = await Datagrams.open(host, port);
    server.onDatagram = ({ data, from }) => void server.send(data, from);
    return server;
  }

  /** As a target is written. */
  get target(): string {
    const { host, port } = this.address;
    return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  }

  /** Resolves when the system has it. An ICMP error of what was sent before shows here, and this goes out then. */
  async send(data: Uint8Array | string, to: UdpAddress): Promise<void> {
    for (let attempt = 0; attempt < 5; attempt++) {
      const sent = Promise.withResolvers<Error | null>();
      this.#socket.send(data, to.port, to.host, sent.resolve);
      const error = (await sent.promise) as NodeJS.ErrnoException | null;
      if (error === null || error === undefined) return;
      if (error.code !== "ECONNREFUSED") throw error;
    }
  }

  /** The next one that was not taken yet. */
  receive(timeoutMs?: number): Promise<Datagram> {
    const first = this.received.shift();
    if (first !== undefined) return Promise.resolve(first);
    const next = Promise.withResolvers<Datagram>();
    this.#waiting = next.resolve;
    return within("a datagram", next.promise, timeoutMs).finally(() => (this.#waiting = null));
  }

  async text(): Promise<string> {
    return (await this.receive()).data.toString();
  }

  /** Sends, and waits for the answer. */
  async ask(data: Uint8Array | string, to: UdpAddress): Promise<Datagram> {
    await this.send(data, to);
    return this.receive();
  }

  #take(data: Buffer, { address: host, port }: RemoteInfo): void {
    const datagram = { data, from: { host, port } };
    if (this.onDatagram !== null) this.onDatagram(datagram);
    else if (this.#waiting !== null) {
      this.#waiting(datagram);
      this.#waiting = null;
    } else this.received.push(datagram);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = Promise.withResolvers<void>();
    try {
      this.#socket.close(closed.resolve);
    } catch {
      return; // it was closed already
    }
    await closed.promise;
  }
}

export interface UdpOptions {
  /** Default: `127.0.0.1:0`. */
  listen?: string;
  /** Addresses, or more than that. */
  targets: readonly (string | (Partial<TargetPlan> & { address: string }))[];
  balance?: Balance;
  breaker?: BreakerPlan;
  maxSessions?: number;
  maxPerIp?: number;
  acceptRate?: number;
  allow?: readonly string[];
  deny?: readonly string[];
  idleMs?: number;
  socket?: Partial<UdpPlan["socket"]>;
}

export function udpPlan(options: UdpOptions): UdpPlan {
  const { listen = "127.0.0.1:0", balance = "round_robin", breaker = null } = options;
  const targets = options.targets.map((target) => {
    const written = typeof target === "string" ? { address: target } : target;
    const { address, weight = 1, backup = false } = written;
    return { endpoint: parseEndpoint(address, "target"), weight, backup };
  });
  return {
    key: `udp ${listen}`,
    protocol: "udp",
    listen: parseEndpoint(listen, "listen"),
    groups: [{ ...GROUP_DEFAULTS, balance, targets, breaker }],
    access: { allow: options.allow ?? [], deny: options.deny ?? [] },
    limits: {
      maxConnections: options.maxSessions ?? UDP_DEFAULTS.maxConnections,
      maxPerIp: options.maxPerIp ?? 0,
      acceptRate: options.acceptRate ?? 0,
    },
    timeouts: { idleMs: options.idleMs ?? UDP_DEFAULTS.idleMs },
    socket: { sendBufferBytes: null, receiveBufferBytes: null, ...options.socket },
  };
}

export interface UdpRelayOptions extends ProxyOptions {
  workers?: number;
  debug?: boolean;
}

export function planOf(listeners: readonly ListenerPlan[], options: UdpRelayOptions = {}): Plan {
  return {
    engine: "auto",
    workers: options.workers ?? 1,
    shutdownTimeoutMs: 10_000,
    shutdownDelayMs: 0,
    overload: NO_OVERLOAD,
    autoTls: null,
    admin: null,
    ring: RING_DEFAULTS,
    log: { level: options.debug === true ? "debug" : "info", format: "json" },
    listeners,
  };
}

export class UdpRelay implements AsyncDisposable {
  readonly proxy: Proxy;

  private constructor(proxy: Proxy) {
    this.proxy = proxy;
  }

  static async start(listener: UdpOptions, options: UdpRelayOptions = {}): Promise<UdpRelay> {
    return new UdpRelay(await Proxy.start(planOf([udpPlan(listener)], options), options));
  }

  get bound(): SocketAddress & { kind: "ip" } {
    return this.proxy.listeners()[0]!.bound[0]! as SocketAddress & { kind: "ip" };
  }

  /** Where clients send to. */
  get address(): UdpAddress {
    return { host: this.bound.host || "127.0.0.1", port: this.bound.port };
  }

  get stats(): ListenerStats {
    return Object.values(this.proxy.stats().listeners)[0]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.kill();
  }
}
