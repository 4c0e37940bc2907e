// Config to Plan: every default filled in, frozen. Pure: what depends on the machine comes in as an argument.
// Invariant: a key that is given wins over its preset, the preset over the platform's and the general defaults.

import { resolve } from "node:path";

import { ringMemory } from "../config/presets.ts";
import { hasQuicTarget } from "../config/quic.ts";
import type { Config, ProtocolConfig } from "../config/schema.ts";
import { formatEndpoint } from "../shared/address.ts";
import { BOUNDS, PROXY_DEFAULTS } from "../shared/limits.ts";
import type { AdminPlan, ListenerPlan, Plan, RingPlan } from "../shared/plan.ts";
import { compileAutoTls } from "./compile/auto-tls.ts";
import { compileHttp } from "./compile/http.ts";
import { compileOverload } from "./compile/overload.ts";
import { compileQuic } from "./compile/quic.ts";
import { compileRelay } from "./compile/relay.ts";
import { compileLink, compileTls } from "./compile/streams.ts";
import { compileUdp } from "./compile/udp.ts";

/** What a plan depends on besides the configuration. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly cpus: number;
  /** Absolute: where paths begin that are not. */
  readonly folder: string;
  /** The log goes to a terminal. */
  readonly terminal: boolean;
}

/** @param config passed checkSource, so that all its enabled entries can be carried out. */
export function compile(config: Config, machine: Machine): Plan {
  const taken = new Set<string>();
  const enabled = config.protocols.filter((entry) => entry.enabled !== false);
  const { workers = "auto", log_format: format = "auto" } = config;
  return freeze({
    engine: config.engine ?? "auto",
    workers: workers === "auto" ? Math.max(1, machine.cpus) : workers,
    shutdownTimeoutMs: config.shutdown_timeout ?? PROXY_DEFAULTS.shutdownTimeoutMs,
    shutdownDelayMs: config.shutdown_delay ?? PROXY_DEFAULTS.shutdownDelayMs,
    overload: compileOverload(config),
    ring: compileRing(config.uring ?? {}),
    log: {
      level: config.log_level ?? PROXY_DEFAULTS.logLevel,
      format: format === "auto" ? (machine.terminal ? "pretty" : "json") : format,
    },
    autoTls: compileAutoTls(config, machine.folder),
    admin: compileAdmin(config, machine.folder),
    listeners: enabled.map((entry) => compileListener(entry, config, machine.platform, taken)),
  });
}

function compileAdmin({ admin }: Config, folder: string): AdminPlan | null {
  if (admin === undefined) return null;
  return {
    listen: admin.listen,
    tokenFile: admin.token_file === undefined ? null : resolve(folder, admin.token_file),
    metricsPrefix: admin.metrics_prefix ?? PROXY_DEFAULTS.metricsPrefix,
  };
}

/** As many buffers as the memory holds, down to a power of two, as the kernel wants them. */
function compileRing(given: NonNullable<Config["uring"]>): RingPlan {
  const { bufferBytes, memoryBytes } = ringMemory(given);
  const fitting = Math.min(Math.floor(memoryBytes / bufferBytes), BOUNDS.ringBuffersMax);
  return { bufferBytes, buffers: 2 ** Math.floor(Math.log2(fitting)) };
}

function compileListener(
  entry: ProtocolConfig,
  config: Config,
  platform: NodeJS.Platform,
  taken: Set<string>,
): ListenerPlan {
  const { name } = entry;
  const key = uniqueKey(`${name} ${formatEndpoint(entry.listen)}`, taken);
  switch (name) {
    case "tcp":
      return hasQuicTarget(entry)
        ? compileLink(entry, key, platform)
        : compileRelay(entry, key, platform);
    case "udp":
      return compileUdp(entry, key, platform);
    case "tls":
      return compileTls(entry, config, key, platform);
    case "http":
    case "http2":
    case "http3":
      return compileHttp({ ...entry, name }, config, key, platform);
    case "quic":
      return compileQuic(entry, config, key, platform);
  }
}

/** Two listeners on port 0 are written alike and are not the same. */
function uniqueKey(key: string, taken: Set<string>): string {
  let unique = key;
  for (let i = 2; taken.has(unique); i++) unique = `${key}#${i}`;
  taken.add(unique);
  return unique;
}

function freeze<T extends object>(value: T): T {
  for (const inner of Object.values(value))
    if (typeof inner === "object" && inner !== null) freeze(inner);
  return Object.freeze(value);
}
