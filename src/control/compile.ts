// Config to Plan: every default filled in, frozen. Pure: what depends on the machine comes in as an argument.
// Invariant: a key that is given wins over its preset, the preset over the platform's and the general defaults.

import { PRESET_VALUES, ringMemory, watermarks } from "../config/presets.ts";
import type { Config, ProtocolConfig } from "../config/schema.ts";
import { formatEndpoint } from "../shared/address.ts";
import { ProxyError } from "../shared/errors.ts";
import {
  BOUNDS,
  HEALTH_DEFAULTS,
  LISTENER_DEFAULTS,
  PROXY_DEFAULTS,
  UDP_DEFAULTS,
} from "../shared/limits.ts";
import type {
  BuffersPlan,
  GroupPlan,
  HealthPlan,
  ListenerPlan,
  Plan,
  RelayPlan,
  RingPlan,
  SocketPlan,
  TargetPlan,
  UdpPlan,
} from "../shared/plan.ts";

/** What a plan depends on besides the configuration. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly cpus: number;
  /** The log goes to a terminal. */
  readonly terminal: boolean;
}

/** Socket settings that a platform needs for its best; they stand below presets. */
const PLATFORM_SOCKET: Partial<Record<NodeJS.Platform, Partial<SocketPlan>>> = {
  // A short unsent queue keeps latency low where there is no splice to fill it.
  darwin: { notsentLowatBytes: 16 * 1024 },
  // Completion ports move what the buffers hold: small ones cost a completion for every few packets.
  win32: { sendBufferBytes: 256 * 1024, receiveBufferBytes: 256 * 1024 },
};

/** @param config passed checkSource, so that all its enabled entries can be carried out. */
export function compile(config: Config, machine: Machine): Plan {
  const taken = new Set<string>();
  const enabled = config.protocols.filter((entry) => entry.enabled !== false);
  const { workers = "auto", log_format: format = "auto" } = config;
  return freeze({
    engine: config.engine ?? "auto",
    workers: workers === "auto" ? Math.max(1, machine.cpus) : workers,
    shutdownTimeoutMs: config.shutdown_timeout ?? PROXY_DEFAULTS.shutdownTimeoutMs,
    ring: compileRing(config.uring ?? {}),
    log: {
      level: config.log_level ?? PROXY_DEFAULTS.logLevel,
      format: format === "auto" ? (machine.terminal ? "pretty" : "json") : format,
    },
    listeners: enabled.map((entry) => compileListener(entry, machine.platform, taken)),
  });
}

/** As many buffers as the memory holds, down to a power of two, as the kernel wants them. */
function compileRing(given: NonNullable<Config["uring"]>): RingPlan {
  const { bufferBytes, memoryBytes } = ringMemory(given);
  const fitting = Math.min(Math.floor(memoryBytes / bufferBytes), BOUNDS.ringBuffersMax);
  return { bufferBytes, buffers: 2 ** Math.floor(Math.log2(fitting)) };
}

/** Where a listener's clients go, or those of one of its routes. */
type Destination = Pick<ProtocolConfig, "target" | "targets" | "balance" | "health">;

/** The group of whoever no rule names is the first: that of the listener's own targets, or of the route without a name. */
function compileGroups(entry: ProtocolConfig): Pick<RelayPlan, "groups" | "routes"> {
  const { routes = [], target, targets } = entry;
  const own = target !== undefined || targets !== undefined;
  if (routes.length === 0) return { groups: [compileGroup(entry)], routes: [] };
  const rules = routes.map((route) => ({
    sni: route.sni ?? null,
    alpn: route.alpn ?? null,
    group: compileGroup(route),
  }));
  if (own) rules.push({ sni: null, alpn: null, group: compileGroup(entry) });
  const fitsAll = rules.find(({ sni, alpn }) => sni === null && alpn === null);
  const groups = rules.map(({ group }) => group);
  if (fitsAll !== undefined) {
    groups.splice(groups.indexOf(fitsAll.group), 1);
    groups.unshift(fitsAll.group);
  }
  return { groups, routes: rules.map((rule) => ({ ...rule, group: groups.indexOf(rule.group) })) };
}

function compileGroup({ target, targets, balance, health }: Destination): GroupPlan {
  const written: TargetConfig[] = targets ?? (target === undefined ? [] : [target]);
  return {
    balance: balance ?? "round_robin",
    targets: written.map(compileTarget),
    health: compileHealth(health),
  };
}

type TargetConfig = NonNullable<ProtocolConfig["targets"]>[number];

function compileTarget(written: TargetConfig): TargetPlan {
  if ("endpoint" in written) return { endpoint: written.endpoint, weight: 1, backup: false };
  const { address, weight = 1, backup = false } = written;
  return { endpoint: address.endpoint, weight, backup };
}

function compileHealth(given: ProtocolConfig["health"]): HealthPlan | null {
  if (given === undefined) return null;
  return {
    type: given.type ?? HEALTH_DEFAULTS.type,
    path: given.path ?? HEALTH_DEFAULTS.path,
    statuses: given.expect ?? HEALTH_DEFAULTS.statuses,
    intervalMs: given.interval ?? HEALTH_DEFAULTS.intervalMs,
    timeoutMs: given.timeout ?? HEALTH_DEFAULTS.timeoutMs,
    rise: given.rise ?? HEALTH_DEFAULTS.rise,
    fall: given.fall ?? HEALTH_DEFAULTS.fall,
  };
}

function compileListener(
  entry: ProtocolConfig,
  platform: NodeJS.Platform,
  taken: Set<string>,
): ListenerPlan {
  const { name } = entry;
  if (name !== "tcp" && name !== "udp") {
    throw new ProxyError("ERR_NOT_AVAILABLE", `"${name}" is not available in this version`);
  }
  const key = uniqueKey(`${name} ${formatEndpoint(entry.listen)}`, taken);
  return name === "tcp" ? compileRelay(entry, key, platform) : compileUdp(entry, key, platform);
}

function compileRelay(entry: ProtocolConfig, key: string, platform: NodeJS.Platform): RelayPlan {
  const preset = entry.preset ? PRESET_VALUES[entry.preset] : {};
  return {
    key,
    protocol: "tcp",
    listen: entry.listen,
    ...compileGroups(entry),
    mirror: entry.mirror?.target.endpoint ?? null,
    access: { allow: entry.allow ?? [], deny: entry.deny ?? [] },
    proxyProtocol: {
      accept: entry.proxy_protocol?.accept ?? "off",
      send: entry.proxy_protocol?.send ?? "off",
      trusted: entry.proxy_protocol?.trusted ?? [],
    },
    limits: {
      maxConnections:
        entry.limits?.max_connections ?? preset.maxConnections ?? LISTENER_DEFAULTS.maxConnections,
      maxPerIp: entry.limits?.max_per_ip ?? LISTENER_DEFAULTS.maxPerIp,
      acceptRate: entry.limits?.accept_rate ?? LISTENER_DEFAULTS.acceptRate,
      bytesPerSecond: entry.limits?.bandwidth ?? LISTENER_DEFAULTS.bytesPerSecond,
      connectionBytesPerSecond:
        entry.limits?.connection_bandwidth ?? LISTENER_DEFAULTS.connectionBytesPerSecond,
    },
    timeouts: {
      connectMs: entry.timeouts?.connect ?? LISTENER_DEFAULTS.connectMs,
      idleMs: entry.timeouts?.idle ?? preset.idleMs ?? LISTENER_DEFAULTS.idleMs,
      clientHelloMs: entry.timeouts?.client_hello ?? LISTENER_DEFAULTS.clientHelloMs,
      proxyHeaderMs: LISTENER_DEFAULTS.proxyHeaderMs,
      lifetimeMs: entry.timeouts?.lifetime ?? LISTENER_DEFAULTS.lifetimeMs,
    },
    socket: compileSocket(entry, platform),
    buffers: compileBuffers(entry),
  };
}

function compileUdp(entry: ProtocolConfig, key: string, platform: NodeJS.Platform): UdpPlan {
  const preset = entry.preset ? PRESET_VALUES[entry.preset] : {};
  const { limits, timeouts } = entry;
  const { sendBufferBytes, receiveBufferBytes } = compileSocket(entry, platform);
  const asked = limits?.max_sessions ?? limits?.max_connections;
  return {
    key,
    protocol: "udp",
    listen: entry.listen,
    groups: [compileGroup(entry)],
    limits: { maxConnections: asked ?? preset.maxConnections ?? UDP_DEFAULTS.maxConnections },
    timeouts: { idleMs: timeouts?.idle ?? preset.idleMs ?? UDP_DEFAULTS.idleMs },
    socket: { sendBufferBytes, receiveBufferBytes },
  };
}

/** Two listeners on port 0 are written alike and are not the same. */
function uniqueKey(key: string, taken: Set<string>): string {
  let unique = key;
  for (let i = 2; taken.has(unique); i++) unique = `${key}#${i}`;
  taken.add(unique);
  return unique;
}

function compileSocket(entry: ProtocolConfig, platform: NodeJS.Platform): SocketPlan {
  const given = entry.socket ?? {};
  const preset = entry.preset ? PRESET_VALUES[entry.preset] : {};
  const system = PLATFORM_SOCKET[platform] ?? {};
  return {
    nodelay: given.nodelay ?? preset.nodelay ?? LISTENER_DEFAULTS.nodelay,
    quickack: given.quickack ?? preset.quickack ?? LISTENER_DEFAULTS.quickack,
    fastopen: given.fastopen ?? preset.fastopen ?? LISTENER_DEFAULTS.fastopen,
    keepaliveSeconds:
      given.keepalive === undefined ? LISTENER_DEFAULTS.keepaliveSeconds : given.keepalive / 1_000,
    sendBufferBytes: given.send_buffer ?? preset.sendBufferBytes ?? system.sendBufferBytes ?? null,
    receiveBufferBytes:
      given.receive_buffer ?? preset.receiveBufferBytes ?? system.receiveBufferBytes ?? null,
    notsentLowatBytes: given.notsent_lowat ?? system.notsentLowatBytes ?? null,
  };
}

function compileBuffers(entry: ProtocolConfig): BuffersPlan {
  const preset = entry.preset ? PRESET_VALUES[entry.preset] : {};
  const { highWatermarkBytes, lowWatermarkBytes } = watermarks(entry);
  const copyBytes = preset.copyBytes ?? LISTENER_DEFAULTS.copyBytes;
  // One read must not overshoot the high watermark; reads have no key of their own, so they follow it.
  return {
    copyBytes: Math.min(copyBytes, highWatermarkBytes),
    highWatermarkBytes,
    lowWatermarkBytes,
  };
}

function freeze<T extends object>(value: T): T {
  for (const inner of Object.values(value))
    if (typeof inner === "object" && inner !== null) freeze(inner);
  return Object.freeze(value);
}
