// The three presets: configurations without addresses, from the same values as the configuration file's presets.
//
//   new Tunnel({ ...serverPreset(), listenAddr: ":8080", targetAddr: "127.0.0.1:80" })

import { type Preset, PRESET_VALUES } from "../config/presets.ts";
import type { TunnelConfig } from "./tunnel-config.ts";

/** A configuration that lacks its addresses. */
export type TunnelPreset = Omit<TunnelConfig, "listenAddr" | "targetAddr">;

/** Many clients at once: 10,000 connections, idle for at most 5 minutes; watermarks 2 MiB and 1 MiB, socket buffers 256 KiB. */
export function serverPreset(): TunnelPreset {
  return { mode: "server", ...settingsOf(PRESET_VALUES.server) };
}

/** Few connections, short delays: buffer 32 KiB, watermarks 1 MiB and 512 KiB, QUICKACK, Fast Open, socket buffers 128 KiB. */
export function clientPreset(): TunnelPreset {
  return { mode: "client", ...settingsOf(PRESET_VALUES.client) };
}

/** Bulk, as video and downloads: buffer 256 KiB, watermarks 4 MiB and 2 MiB, socket buffers 512 KiB. */
export function highThroughputPreset(): TunnelPreset {
  return settingsOf(PRESET_VALUES.high_throughput);
}

function settingsOf(preset: Preset): TunnelPreset {
  const settings: Record<string, unknown> = {
    maxConnections: preset.maxConnections,
    connectionTimeout: preset.idleMs,
    bufferSize: preset.copyBytes,
    backpressureHighWatermark: preset.highWatermarkBytes,
    backpressureLowWatermark: preset.lowWatermarkBytes,
    tcpNoDelay: preset.nodelay,
    tcpQuickAck: preset.quickack,
    tcpFastOpen: preset.fastopen,
    sendBufferSize: preset.sendBufferBytes,
    recvBufferSize: preset.receiveBufferBytes,
  };
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}
