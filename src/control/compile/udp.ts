// A `udp` entry to its plan. Called by compile.ts.

import type { ProtocolConfig } from "../../config/schema.ts";
import { LISTENER_DEFAULTS, UDP_DEFAULTS } from "../../shared/limits.ts";
import type { UdpPlan } from "../../shared/plan.ts";
import { compileGroup, compileTarget } from "./groups.ts";
import { compileAccess, compileSocket, presetOf } from "./settings.ts";

export function compileUdp(entry: ProtocolConfig, key: string, platform: NodeJS.Platform): UdpPlan {
  const { limits, timeouts } = entry;
  const preset = presetOf(entry);
  const { sendBufferBytes, receiveBufferBytes } = compileSocket(entry, platform);
  const asked = limits?.max_sessions ?? limits?.max_connections;
  return {
    key,
    protocol: "udp",
    listen: entry.listen,
    groups: [compileGroup(entry, compileTarget)],
    access: compileAccess(entry),
    limits: {
      maxConnections: asked ?? preset.maxConnections ?? UDP_DEFAULTS.maxConnections,
      maxPerIp: limits?.max_per_ip ?? LISTENER_DEFAULTS.maxPerIp,
      acceptRate: limits?.accept_rate ?? LISTENER_DEFAULTS.acceptRate,
    },
    timeouts: { idleMs: timeouts?.idle ?? preset.idleMs ?? UDP_DEFAULTS.idleMs },
    socket: { sendBufferBytes, receiveBufferBytes },
  };
}
