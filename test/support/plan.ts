// Plans for tests: every default of the program, one listener or several, written in one line. Called by engine tests.

import { parseEndpoint } from "../../src/shared/address.ts";
import { LISTENER_DEFAULTS, RING_DEFAULTS } from "../../src/shared/limits.ts";
import {
  type EngineChoice,
  ENTRANCE_DEFAULTS,
  NO_OVERLOAD,
  type Plan,
  type RelayPlan,
  type RingPlan,
  singleTarget,
} from "../../src/shared/plan.ts";

export interface ListenerOptions {
  key?: string;
  /** Default: `127.0.0.1:0`. */
  listen?: string;
  target: string;
  /** Instead of `target`. */
  groups?: RelayPlan["groups"];
  maxConnections?: number;
  maxPerIp?: number;
  acceptRate?: number;
  access?: Partial<RelayPlan["access"]>;
  proxyProtocol?: Partial<RelayPlan["proxyProtocol"]>;
  routes?: RelayPlan["routes"];
  connectMs?: number;
  idleMs?: number;
  clientHelloMs?: number;
  proxyHeaderMs?: number;
  lifetimeMs?: number;
  /** `host:port` or `unix:/path`. */
  mirror?: string;
  bytesPerSecond?: number;
  connectionBytesPerSecond?: number;
  socket?: Partial<RelayPlan["socket"]>;
  buffers?: Partial<RelayPlan["buffers"]>;
}

export function listenerPlan(options: ListenerOptions): RelayPlan {
  const listen = options.listen ?? "127.0.0.1:0";
  const d = LISTENER_DEFAULTS;
  return {
    key: options.key ?? `tcp ${listen}`,
    protocol: "tcp",
    listen: parseEndpoint(listen, "listen"),
    groups: options.groups ?? [singleTarget(parseEndpoint(options.target, "target"))],
    routes: options.routes ?? [],
    mirror: options.mirror === undefined ? null : parseEndpoint(options.mirror, "target"),
    access: { ...ENTRANCE_DEFAULTS.access, ...options.access },
    proxyProtocol: { ...ENTRANCE_DEFAULTS.proxyProtocol, ...options.proxyProtocol },
    limits: {
      maxConnections: options.maxConnections ?? 0,
      maxPerIp: options.maxPerIp ?? 0,
      acceptRate: options.acceptRate ?? 0,
      bytesPerSecond: options.bytesPerSecond ?? 0,
      connectionBytesPerSecond: options.connectionBytesPerSecond ?? 0,
    },
    timeouts: {
      connectMs: options.connectMs ?? 2_000,
      idleMs: options.idleMs ?? 0,
      clientHelloMs: options.clientHelloMs ?? d.clientHelloMs,
      proxyHeaderMs: options.proxyHeaderMs ?? d.proxyHeaderMs,
      lifetimeMs: options.lifetimeMs ?? 0,
    },
    socket: {
      nodelay: d.nodelay,
      quickack: d.quickack,
      fastopen: d.fastopen,
      keepaliveSeconds: d.keepaliveSeconds,
      sendBufferBytes: null,
      receiveBufferBytes: null,
      notsentLowatBytes: null,
      ...options.socket,
    },
    buffers: {
      copyBytes: d.copyBytes,
      highWatermarkBytes: d.highWatermarkBytes,
      lowWatermarkBytes: d.lowWatermarkBytes,
      ...options.buffers,
    },
  };
}

export interface PlanOptions {
  engine: EngineChoice;
  workers?: number;
  shutdownTimeoutMs?: number;
  ring?: RingPlan;
}

export function makePlan(options: PlanOptions, ...listeners: ListenerOptions[]): Plan {
  return {
    engine: options.engine,
    workers: options.workers ?? 1,
    shutdownDelayMs: 0,
    overload: NO_OVERLOAD,
    shutdownTimeoutMs: options.shutdownTimeoutMs ?? 10_000,
    autoTls: null,
    admin: null,
    ring: options.ring ?? RING_DEFAULTS,
    log: { level: "info", format: "json" },
    listeners: listeners.map(listenerPlan),
  };
}
