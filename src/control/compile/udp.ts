// A `udp` entry to its plan. Called by compile.ts.

import type { ProtocolConfig } from "../../config/schema.ts";
import { UDP_DEFAULTS } from "../../shared/limits.ts";
import type { UdpPlan } from "../../shared/plan.ts";
import { compileGroup, compileTarget } from "./groups.ts";
import { compileSocket, presetOf } from "./settings.ts";

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
    limits: { maxConnections: asked ?? preset.maxConnections ?? UDP_DEFAULTS.maxConnections },
    timeouts: { idleMs: timeouts?.idle ?? preset.idleMs ?? UDP_DEFAULTS.idleMs },
    socket: { sendBufferBytes, receiveBufferBytes },
  };
}
