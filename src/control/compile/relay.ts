// A `tcp` entry to its plan. Called by compile.ts.

import type { ProtocolConfig } from "../../config/schema.ts";
import { addressOf } from "../../config/target.ts";
import { LISTENER_DEFAULTS } from "../../shared/limits.ts";
import type { RelayPlan } from "../../shared/plan.ts";
import { compileNameRoutes, compileTarget } from "./groups.ts";
import {
  compileAcceptProxy,
  compileAccess,
  compileBuffers,
  compileLimits,
  compileSocket,
  presetOf,
} from "./settings.ts";

export function compileRelay(
  entry: ProtocolConfig,
  key: string,
  platform: NodeJS.Platform,
): RelayPlan {
  const { timeouts, mirror } = entry;
  const { accept, trusted } = compileAcceptProxy(entry);
  return {
    key,
    protocol: "tcp",
    listen: entry.listen,
    ...compileNameRoutes(entry, compileTarget),
    mirror: mirror === undefined ? null : addressOf(mirror.target).endpoint,
    access: compileAccess(entry),
    proxyProtocol: { accept, send: entry.proxy_protocol?.send ?? "off", trusted },
    limits: compileLimits(entry),
    timeouts: {
      connectMs: timeouts?.connect ?? LISTENER_DEFAULTS.connectMs,
      idleMs: timeouts?.idle ?? presetOf(entry).idleMs ?? LISTENER_DEFAULTS.idleMs,
      clientHelloMs: timeouts?.client_hello ?? LISTENER_DEFAULTS.clientHelloMs,
      proxyHeaderMs: timeouts?.proxy_header ?? LISTENER_DEFAULTS.proxyHeaderMs,
      lifetimeMs: timeouts?.lifetime ?? LISTENER_DEFAULTS.lifetimeMs,
    },
    socket: compileSocket(entry, platform),
    buffers: compileBuffers(entry),
  };
}
