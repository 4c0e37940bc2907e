// From a tunnel's configuration to what runs: the relay engine's plan for `tcp`, and the options of listen, dial and forward
// for a protocol of the user's own. Refuses what is unknown, out of bounds or without effect.

import { suggest } from "../config/nearest.ts";
import { PRESET_VALUES } from "../config/presets.ts";
import { formatEndpoint, parseEndpoint } from "../shared/address.ts";
import { ProxyError } from "../shared/errors.ts";
import { BOUNDS, LISTENER_DEFAULTS, PROXY_DEFAULTS, RING_DEFAULTS } from "../shared/limits.ts";
import {
  ENTRANCE_DEFAULTS,
  NO_OVERLOAD,
  type Plan,
  type RelayPlan,
  singleTarget,
} from "../shared/plan.ts";
import { requireInteger } from "./settings.ts";
import type { TunnelConfig } from "./tunnel-config.ts";

/** Everything that a TunnelConfig means, with every default filled in. */
export interface TunnelPlan {
  readonly plan: Plan;
  readonly listener: RelayPlan;
  /** Whether the configuration names its protocol. */
  readonly namesProtocol: boolean;
}

type Check = (name: string, value: unknown) => void;

const integer =
  (min: number, max: number): Check =>
  (name, value) =>
    requireInteger(name, value, min, max);

const kind =
  (type: "string" | "boolean" | "object"): Check =>
  (name, value) => {
    if (typeof value === type && value !== null) return;
    throw new ProxyError("ERR_USAGE", `${name} is ${String(value)}`, { cure: `Give a ${type}` });
  };

const oneOf =
  (...words: string[]): Check =>
  (name, value) => {
    if (words.includes(value as string)) return;
    const cure = `Use ${words.join(", ")}`;
    throw new ProxyError("ERR_USAGE", `${name} is ${JSON.stringify(value)}`, { cure });
  };

const duration = integer(0, BOUNDS.timeoutMaxMs);
const copy = integer(BOUNDS.copyBytesMin, BOUNDS.copyBytesMax);
const socketBuffer = integer(BOUNDS.socketBufferMin, BOUNDS.socketBufferMax);

const later =
  (allowed: unknown, cure: string): Check =>
  (name, value) => {
    if (value === allowed) return;
    throw new ProxyError("ERR_NOT_AVAILABLE", `${name} is not available in this version`, { cure });
  };

const refused =
  (allowed: unknown, cure: string): Check =>
  (name, value) => {
    if (value === allowed) return;
    throw new ProxyError("ERR_USAGE", `${name} would have no effect`, { cure });
  };

const YIELD_CURE =
  "Leave it out: a stalled direction goes on when the system says so, not after a wait";

const CHECKS: { readonly [K in keyof Required<TunnelConfig>]: Check } = {
  protocol: checkProtocol,
  listenAddr: kind("string"),
  targetAddr: kind("string"),
  tlsConfig: later(undefined, "Leave it out"),
  bufferSize: copy,
  mode: oneOf("auto", "server", "client"),
  maxConnections: integer(0, BOUNDS.maxConnectionsMax),
  connectionTimeout: duration,
  acceptTimeout: integer(1, BOUNDS.timeoutMaxMs),
  readBufferSize: copy,
  writeBufferSize: copy,
  writeBufferPool: refused(true, "Leave it out: connections always share their buffers"),
  enableBackpressure: refused(
    true,
    "Leave it out: without backpressure a slow reader would fill the memory",
  ),
  backpressureHighWatermark: integer(BOUNDS.watermarkMin, BOUNDS.watermarkMax),
  backpressureLowWatermark: integer(0, BOUNDS.watermarkMax),
  backpressureYieldMin: refused(undefined, YIELD_CURE),
  backpressureYieldMax: refused(undefined, YIELD_CURE),
  tcpNoDelay: kind("boolean"),
  tcpQuickAck: kind("boolean"),
  tcpFastOpen: kind("boolean"),
  sendBufferSize: socketBuffer,
  recvBufferSize: socketBuffer,
  enableMetrics: later(false, "Leave it out and read stats()"),
  metricsPrefix: later(undefined, "Leave it out"),
  engine: oneOf("auto", "uring", "epoll", "bun"),
  workers: integer(1, BOUNDS.workersMax),
  shutdownTimeout: duration,
  keepAlive: integer(0, BOUNDS.keepaliveMaxSeconds * 1000),
  log: kind("object"),
};

function checkProtocol(name: string, value: unknown): void {
  oneOf("tcp", "http2", "http3", "quic")(name, value);
  if (value === "tcp") return;
  throw new ProxyError(
    "ERR_NOT_AVAILABLE",
    `protocol "${String(value)}" is not available in this version`,
    {
      cure: 'Use "tcp", or setProtocol with one of your own',
    },
  );
}

/**
 * Checks a configuration and fills its defaults in. Fields that are undefined count as left out.
 * @throws ProxyError `ERR_USAGE`, `ERR_ADDRESS` or `ERR_NOT_AVAILABLE`, naming the field and the cure.
 */
export function compileTunnel(config: TunnelConfig): TunnelPlan {
  for (const [name, value] of Object.entries(config)) {
    const check = (CHECKS as Record<string, Check | undefined>)[name];
    if (check === undefined) {
      throw new ProxyError("ERR_USAGE", `unknown field "${name}"`, {
        cure: suggest(name, Object.keys(CHECKS)),
      });
    }
    if (value !== undefined) check(name, value);
  }
  for (const name of ["listenAddr", "targetAddr"] as const) {
    if (config[name] === undefined) {
      throw new ProxyError("ERR_USAGE", `${name} is missing`, { cure: "Write host:port" });
    }
  }
  const listener = compileListener(config);
  const { engine = "auto", workers = 1 } = config;
  const { shutdownTimeout: shutdownTimeoutMs = PROXY_DEFAULTS.shutdownTimeoutMs } = config;
  const log = { level: PROXY_DEFAULTS.logLevel, format: "json" } as const;
  const ring = RING_DEFAULTS;
  const listeners = [listener];
  const plan: Plan = {
    engine,
    workers,
    shutdownTimeoutMs,
    shutdownDelayMs: 0,
    overload: NO_OVERLOAD,
    ring,
    log,
    autoTls: null,
    admin: null,
    listeners,
  };
  return { plan, listener, namesProtocol: config.protocol !== undefined };
}

function compileListener(config: TunnelConfig): RelayPlan {
  const { mode } = config;
  const byMode = mode === "server" ? PRESET_VALUES.server : LISTENER_DEFAULTS;
  const high = config.backpressureHighWatermark;
  const highWatermarkBytes =
    high ?? byMode.highWatermarkBytes ?? LISTENER_DEFAULTS.highWatermarkBytes;
  const lowWatermarkBytes = config.backpressureLowWatermark ?? Math.floor(highWatermarkBytes / 2);
  // Equal marks would stop a direction that is never told to go on.
  requireInteger("backpressureLowWatermark", lowWatermarkBytes, 0, highWatermarkBytes - 1);
  const { readBufferSize, writeBufferSize, bufferSize = LISTENER_DEFAULTS.copyBytes } = config;
  const given = [readBufferSize, writeBufferSize].filter((size) => size !== undefined);
  const keepAlive = config.keepAlive ?? LISTENER_DEFAULTS.keepaliveSeconds * 1000;
  const windowsBuffer = process.platform === "win32" ? 256 * 1024 : null;
  const listen = parseEndpoint(config.listenAddr, "listen");
  return {
    key: `tcp ${formatEndpoint(listen)}`,
    protocol: "tcp",
    listen,
    groups: [singleTarget(parseEndpoint(config.targetAddr, "target"))],
    ...ENTRANCE_DEFAULTS,
    mirror: null,
    limits: {
      maxConnections: config.maxConnections ?? LISTENER_DEFAULTS.maxConnections,
      maxPerIp: LISTENER_DEFAULTS.maxPerIp,
      acceptRate: LISTENER_DEFAULTS.acceptRate,
      bytesPerSecond: LISTENER_DEFAULTS.bytesPerSecond,
      connectionBytesPerSecond: LISTENER_DEFAULTS.connectionBytesPerSecond,
    },
    timeouts: {
      clientHelloMs: LISTENER_DEFAULTS.clientHelloMs,
      proxyHeaderMs: LISTENER_DEFAULTS.proxyHeaderMs,
      connectMs: config.acceptTimeout ?? LISTENER_DEFAULTS.connectMs,
      idleMs: config.connectionTimeout ?? LISTENER_DEFAULTS.idleMs,
      lifetimeMs: LISTENER_DEFAULTS.lifetimeMs,
    },
    socket: {
      nodelay: config.tcpNoDelay ?? LISTENER_DEFAULTS.nodelay,
      quickack: config.tcpQuickAck ?? LISTENER_DEFAULTS.quickack,
      fastopen: config.tcpFastOpen ?? LISTENER_DEFAULTS.fastopen,
      keepaliveSeconds: Math.ceil(keepAlive / 1000),
      sendBufferBytes: config.sendBufferSize ?? windowsBuffer,
      receiveBufferBytes: config.recvBufferSize ?? windowsBuffer,
      // macOS keeps its send queue short, so that what is sent is not old already.
      notsentLowatBytes: process.platform === "darwin" ? 16 * 1024 : null,
    },
    buffers: {
      // One read must not overshoot the high watermark.
      copyBytes: Math.min(given.length > 0 ? Math.max(...given) : bufferSize, highWatermarkBytes),
      highWatermarkBytes,
      lowWatermarkBytes,
    },
  };
}
