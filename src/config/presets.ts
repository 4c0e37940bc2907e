// Presets: sets of listener settings for a purpose, with the values that the original program documents for its presets.
// A key that the configuration gives wins over its preset; the preset wins over LISTENER_DEFAULTS. Called by compile.ts
// and relations.ts.

import { HTTP_DEFAULTS, LISTENER_DEFAULTS, RING_DEFAULTS } from "../shared/limits.ts";
import type { PresetName } from "../shared/plan.ts";
import type { Config, ProtocolConfig } from "./schema.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** What a preset may set; what it leaves out comes from LISTENER_DEFAULTS. */
export interface Preset {
  readonly maxConnections?: number;
  readonly idleMs?: number;
  readonly nodelay?: boolean;
  readonly quickack?: boolean;
  readonly fastopen?: boolean;
  readonly sendBufferBytes?: number;
  readonly receiveBufferBytes?: number;
  readonly copyBytes?: number;
  readonly highWatermarkBytes?: number;
  readonly lowWatermarkBytes?: number;
}

export const PRESET_VALUES: Readonly<Record<PresetName, Preset>> = {
  server: {
    maxConnections: 10_000, // many clients, so a bound that protects the descriptors
    idleMs: 300_000, // clients vanish; five minutes without a byte is a dead one
    sendBufferBytes: 256 * KIB,
    receiveBufferBytes: 256 * KIB,
    copyBytes: 64 * KIB,
    highWatermarkBytes: 2 * MIB,
    lowWatermarkBytes: 1 * MIB,
  },
  client: {
    nodelay: true,
    quickack: true, // few connections: the extra packets are cheap, the round trips are not
    fastopen: true,
    sendBufferBytes: 128 * KIB,
    receiveBufferBytes: 128 * KIB,
    copyBytes: 32 * KIB,
    highWatermarkBytes: 1 * MIB,
    lowWatermarkBytes: 512 * KIB,
  },
  high_throughput: {
    sendBufferBytes: 512 * KIB,
    receiveBufferBytes: 512 * KIB,
    copyBytes: 256 * KIB, // BUFFER_SIZE_LARGE
    highWatermarkBytes: 4 * MIB,
    lowWatermarkBytes: 2 * MIB,
  },
};

export interface Watermarks {
  readonly highWatermarkBytes: number;
  readonly lowWatermarkBytes: number;
}

/** The watermarks of a listener: as given, of the preset, or the defaults. `high_watermark` alone halves for the low one. */
export function watermarks(
  entry: Pick<ProtocolConfig, "name" | "preset" | "backpressure">,
): Watermarks {
  const preset = entry.preset ? PRESET_VALUES[entry.preset] : {};
  const fallback = forwardsRequests(entry.name) ? HTTP_DEFAULTS : LISTENER_DEFAULTS;
  const { high_watermark: high, low_watermark: low } = entry.backpressure ?? {};
  const highWatermarkBytes = high ?? preset.highWatermarkBytes ?? fallback.highWatermarkBytes;
  if (low !== undefined) return { highWatermarkBytes, lowWatermarkBytes: low };
  if (high !== undefined) return { highWatermarkBytes, lowWatermarkBytes: Math.floor(high / 2) };
  return {
    highWatermarkBytes,
    lowWatermarkBytes: preset.lowWatermarkBytes ?? fallback.lowWatermarkBytes,
  };
}

/** The protocols whose targets get requests. */
export function forwardsRequests(name: ProtocolConfig["name"]): boolean {
  return name === "http" || name === "http2" || name === "http3";
}

/** What `uring:` gives, or the defaults. */
export function ringMemory(given: NonNullable<Config["uring"]>): {
  readonly bufferBytes: number;
  readonly memoryBytes: number;
} {
  return {
    bufferBytes: given.buffer_size ?? RING_DEFAULTS.bufferBytes,
    memoryBytes: given.buffer_memory ?? RING_DEFAULTS.buffers * RING_DEFAULTS.bufferBytes,
  };
}
