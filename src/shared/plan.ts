// The plan: what the configuration means, as plain frozen data with every default filled in. The control plane compiles
// it once; the data plane reads it and never sees the configuration.

import { type Endpoint, formatEndpoint } from "./address.ts";
import type { AutoTlsPlan } from "./auto-tls-plan.ts";
import type { HttpPlan, LinkPlan, TlsPlan } from "./http-plan.ts";
import type { QuicPlan } from "./quic-plan.ts";

/** What the user may ask for. `uring` is named here because the configuration's grammar knows it. */
export type EngineChoice = "auto" | "uring" | "epoll" | "bun";
/** What runs. */
export type EngineName = "uring" | "epoll" | "bun";
export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFormat = "pretty" | "json";
export type PresetName = "server" | "client" | "high_throughput";

export interface Plan {
  readonly engine: EngineChoice;
  /** Data plane threads, at least 1. */
  readonly workers: number;
  /** How long connections may go on after a drain began. */
  readonly shutdownTimeoutMs: number;
  /** How long clients are still taken after a stop was asked for, while probes say that the proxy is not ready. */
  readonly shutdownDelayMs: number;
  readonly overload: OverloadPlan;
  readonly ring: RingPlan;
  readonly log: { readonly level: LogLevel; readonly format: LogFormat };
  /** Certificates that are obtained and renewed; null: none are. */
  readonly autoTls: AutoTlsPlan | null;
  /** Where the proxy tells about itself; null: nowhere. */
  readonly admin: AdminPlan | null;
  readonly listeners: readonly ListenerPlan[];
}

/** From when on new work is turned away. */
export interface OverloadPlan {
  /** How late a worker may be; 0: as late as it is. */
  readonly lagMs: number;
  /** What the process may hold: of its cgroup's limit or the machine's memory, or in bytes; null: whatever it does. */
  readonly memory: { readonly share: number } | { readonly bytes: number } | null;
  /** Of the descriptors that it may open; 0: all. */
  readonly descriptorsShare: number;
}

/** Of a process that is somebody else's, who judges it: the library. */
export const NO_OVERLOAD: OverloadPlan = { lagMs: 0, memory: null, descriptorsShare: 0 };

export interface AdminPlan {
  readonly listen: Endpoint;
  /** What whoever asks must show; null: nothing, only this machine reaches it. */
  readonly tokenFile: string | null;
  /** What the names of metrics begin with. */
  readonly metricsPrefix: string;
}

/** What a worker of the uring engine receives into; other engines have no use for it. */
export interface RingPlan {
  readonly bufferBytes: number;
  /** How many there are at most: a power of two. */
  readonly buffers: number;
}

/** A listener, by what it speaks: relay workers serve `tcp`, gateway workers the rest. */
export type ListenerPlan = RelayPlan | UdpPlan | TlsPlan | LinkPlan | HttpPlan | QuicPlan;

/** A raw TCP (or unix stream) listener and where its bytes go. */
export interface RelayPlan {
  /** Identity in messages, logs and counters: protocol and address as written, `tcp :8080`. Unique in a plan. */
  readonly key: string;
  readonly protocol: "tcp";
  readonly listen: Endpoint;
  /** Where clients go. Without routes the first is for all of them; with routes, for those that no other one fits. */
  readonly groups: readonly GroupPlan[];
  /** Rules over the client's first TLS message, in order; none: nothing is read before a target is chosen. */
  readonly routes: readonly RoutePlan[];
  readonly access: AccessPlan;
  readonly proxyProtocol: ProxyProtocolPlan;
  /** Where a copy of what clients send goes; null: nowhere. */
  readonly mirror: Endpoint | null;
  readonly limits: LimitsPlan;
  readonly timeouts: TimeoutsPlan;
  readonly socket: SocketPlan;
  readonly buffers: BuffersPlan;
}

/** A UDP listener. Every client's address is a session, with a socket of its own towards one of the targets. */
export interface UdpPlan {
  /** As RelayPlan.key: `udp :53`. */
  readonly key: string;
  readonly protocol: "udp";
  /** Never a unix socket. */
  readonly listen: Endpoint;
  /** One, without unix sockets. */
  readonly groups: readonly GroupPlan[];
  readonly access: AccessPlan;
  /** Sessions are what is counted. */
  readonly limits: Pick<LimitsPlan, "maxConnections" | "maxPerIp" | "acceptRate">;
  /** A session without a datagram either way for idleMs, which is never 0, is over. */
  readonly timeouts: Pick<TimeoutsPlan, "idleMs">;
  readonly socket: BufferSizesPlan;
}

export interface RoutePlan {
  /** What metrics call it (route-names.ts). */
  readonly name: string;
  /** `db.example.com`, `*.apps.example.com`; null: whatever the client asks for, or if it asks for nothing. */
  readonly sni: string | null;
  /** Fits a client that offers one of these; null: whatever it offers. */
  readonly alpn: readonly string[] | null;
  /** Index of `groups`. */
  readonly group: number;
}

/** Address blocks, as written. Who is denied is not admitted; who is left is, if nobody is named in `allow` or they are. */
export interface AccessPlan {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

export interface ProxyProtocolPlan {
  /** What every client begins with; `off`: with nothing of the kind. */
  readonly accept: "off" | "v1" | "v2" | "any";
  /** What targets are sent before the client's first byte. */
  readonly send: "off" | "v1" | "v2";
  /** Address blocks of those whose header is believed; nobody else is admitted. Of no meaning on unix sockets. */
  readonly trusted: readonly string[];
}

export type Balance = "round_robin" | "least_connections" | "random" | "source_hash";

/** Targets that stand for each other. */
export interface GroupPlan {
  readonly balance: Balance;
  readonly targets: readonly TargetPlan[];
  /** null: no probes; targets that do not connect are left out for a while all the same. */
  readonly health: HealthPlan | null;
  /** null: what fails again and again is left out for a while (EJECTION), unless there is nothing else. */
  readonly breaker: BreakerPlan | null;
  /** How long the share of a target grows that came back, or came to the others; 0: it has all of it at once. */
  readonly slowStartMs: number;
}

/** Of groups that say nothing of it. */
export const GROUP_DEFAULTS: Pick<GroupPlan, "health" | "breaker" | "slowStartMs"> = {
  health: null,
  breaker: null,
  slowStartMs: 0,
};

/** For people: `10.0.0.1:80, 10.0.0.2:80`, each once. Empty if all that is done is to redirect. */
export function formatTargets({ groups }: Pick<ListenerPlan, "groups">): string {
  const written = groups.flatMap(({ targets }) => targets.map(({ endpoint }) => endpoint));
  return [...new Set(written.map(formatEndpoint))].join(", ");
}

/** Whether socket options of TCP mean anything towards the targets. */
export function hasIpTarget({ groups }: Pick<ListenerPlan, "groups">): boolean {
  return groups.some(({ targets }) => targets.some(({ endpoint }) => endpoint.kind !== "unix"));
}

/** Every client is admitted, and nothing is read of it before a target is chosen. */
export const ENTRANCE_DEFAULTS: Pick<RelayPlan, "routes" | "access" | "proxyProtocol"> = {
  routes: [],
  access: { allow: [], deny: [] },
  proxyProtocol: { accept: "off", send: "off", trusted: [] },
};

/** One target, without choice. */
export function singleTarget(endpoint: Endpoint): GroupPlan {
  return {
    balance: "round_robin",
    targets: [{ endpoint, weight: 1, backup: false }],
    ...GROUP_DEFAULTS,
  };
}

export interface TargetPlan {
  readonly endpoint: Endpoint;
  /** Share of the connections, relative to the others. */
  readonly weight: number;
  /** Used only while no other target can be. */
  readonly backup: boolean;
}

export interface HealthPlan {
  readonly type: "tcp" | "http";
  /** Of type http: what is asked for, and the statuses that are well. */
  readonly path: string;
  readonly statuses: readonly number[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Successes in a row that bring a target back, failures in a row that take it out. */
  readonly rise: number;
  readonly fall: number;
}

/** When a target's circuit opens, which leaves it out, and how it is closed again. */
export interface BreakerPlan {
  /** In a row; 0: not counted. */
  readonly failures: number;
  /** Of all that came to an end within the window, the share that failed: above 0 to 1; 0: not counted. */
  readonly errorRate: number;
  /** How many there must be in the window before its rate means something. */
  readonly minimum: number;
  readonly windowMs: number;
  /** How long it stays open at first; twice as long each time that it opens again, up to the second. */
  readonly openMs: number;
  readonly maxOpenMs: number;
  /** While it is half open: at most so many at once find out, and so many must succeed in a row. */
  readonly probes: number;
  /** Of HTTP: answers that are failures. */
  readonly statuses: readonly number[];
  /** No target is left that is not open or down: true, clients are refused; false, all targets are tried all the same. */
  readonly refuses: boolean;
}

export interface LimitsPlan {
  /** Connections at once over all workers; 0: as many as the descriptors allow. */
  readonly maxConnections: number;
  /** Connections at once from one client address, over all workers; 0: no limit. */
  readonly maxPerIp: number;
  /** New connections each second, over all workers; 0: no limit. */
  readonly acceptRate: number;
  /** Both directions together, over all connections and workers; 0: no limit. */
  readonly bytesPerSecond: number;
  /** Of each connection, both directions together; 0: no limit. */
  readonly connectionBytesPerSecond: number;
}

export interface TimeoutsPlan {
  /** For reaching the target, over all of its addresses together. */
  readonly connectMs: number;
  /** A connection on which no byte moves either way for this long is reset; 0: never. */
  readonly idleMs: number;
  /** With routes: for the client's first TLS message. */
  readonly clientHelloMs: number;
  /** With proxyProtocol.accept: for the header. */
  readonly proxyHeaderMs: number;
  /** A connection is reset after this long, whatever it does; 0: never. */
  readonly lifetimeMs: number;
}

/** Socket buffers. `null` leaves the system's own value. */
export interface BufferSizesPlan {
  /** SO_SNDBUF in bytes. */
  readonly sendBufferBytes: number | null;
  /** SO_RCVBUF in bytes. */
  readonly receiveBufferBytes: number | null;
}

/** Socket options. `null` leaves the system's own value. */
export interface SocketPlan extends BufferSizesPlan {
  /** TCP_NODELAY. */
  readonly nodelay: boolean;
  /** TCP_QUICKACK, Linux only. */
  readonly quickack: boolean;
  /** TCP_FASTOPEN on listeners, TCP_FASTOPEN_CONNECT towards targets. */
  readonly fastopen: boolean;
  /** SO_KEEPALIVE with TCP_KEEPIDLE and TCP_KEEPINTVL of this many seconds; 0: off. */
  readonly keepaliveSeconds: number;
  /** TCP_NOTSENT_LOWAT in bytes, Linux and macOS. */
  readonly notsentLowatBytes: number | null;
}

export interface BuffersPlan {
  /** The most that one read takes in copy mode. */
  readonly copyBytes: number;
  /** A direction that holds this many undelivered bytes stops reading. */
  readonly highWatermarkBytes: number;
  /** It reads again at this many. */
  readonly lowWatermarkBytes: number;
}
