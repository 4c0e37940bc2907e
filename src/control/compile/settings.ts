// What listeners of several protocols have alike: limits on connections, socket options, buffers. A key that is given wins over
// its preset, the preset over the platform's and the general defaults. Called by the files beside this one.

import { type Preset, PRESET_VALUES, watermarks } from "../../config/presets.ts";
import type { ProtocolConfig } from "../../config/schema.ts";
import type { AcceptProxyPlan } from "../../shared/http-plan.ts";
import { LISTENER_DEFAULTS } from "../../shared/limits.ts";
import type { AccessPlan, BuffersPlan, LimitsPlan, SocketPlan } from "../../shared/plan.ts";

/** Socket settings that a platform needs for its best; they stand below presets. */
const PLATFORM_SOCKET: Partial<Record<NodeJS.Platform, Partial<SocketPlan>>> = {
  // A short unsent queue keeps latency low where there is no splice to fill it.
  darwin: { notsentLowatBytes: 16 * 1024 },
  // Completion ports move what the buffers hold: small ones cost a completion for every few packets.
  win32: { sendBufferBytes: 256 * 1024, receiveBufferBytes: 256 * 1024 },
};

export function presetOf({ preset }: ProtocolConfig): Preset {
  return preset ? PRESET_VALUES[preset] : {};
}

export function compileAccess({ allow = [], deny = [] }: ProtocolConfig): AccessPlan {
  return { allow, deny };
}

export function compileAcceptProxy({ proxy_protocol: given }: ProtocolConfig): AcceptProxyPlan {
  const { accept = "off", trusted = [] } = given ?? {};
  return { accept, trusted };
}

export function compileLimits(entry: ProtocolConfig): LimitsPlan {
  const { limits } = entry;
  return {
    maxConnections:
      limits?.max_connections ?? presetOf(entry).maxConnections ?? LISTENER_DEFAULTS.maxConnections,
    maxPerIp: limits?.max_per_ip ?? LISTENER_DEFAULTS.maxPerIp,
    acceptRate: limits?.accept_rate ?? LISTENER_DEFAULTS.acceptRate,
    bytesPerSecond: limits?.bandwidth ?? LISTENER_DEFAULTS.bytesPerSecond,
    connectionBytesPerSecond:
      limits?.connection_bandwidth ?? LISTENER_DEFAULTS.connectionBytesPerSecond,
  };
}

export function compileSocket(entry: ProtocolConfig, platform: NodeJS.Platform): SocketPlan {
  const given = entry.socket ?? {};
  const preset = presetOf(entry);
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

export function compileBuffers(entry: ProtocolConfig): BuffersPlan {
  const { highWatermarkBytes, lowWatermarkBytes } = watermarks(entry);
  const copyBytes = presetOf(entry).copyBytes ?? LISTENER_DEFAULTS.copyBytes;
  // One read must not overshoot the high watermark; reads have no key of their own, so they follow it.
  return {
    copyBytes: Math.min(copyBytes, highWatermarkBytes),
    highWatermarkBytes,
    lowWatermarkBytes,
  };
}
