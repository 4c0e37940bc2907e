// A `quic` entry to its plan. Called by compile.ts.

import type { ProtocolConfig } from "../../config/schema.ts";
import { QUIC_DEFAULTS } from "../../shared/limits.ts";
import type { QuicPlan } from "../../shared/quic-plan.ts";
import { compileGroup } from "./groups.ts";
import { compileAccess, compileBuffers, compileLimits, compileSocket } from "./settings.ts";
import { compileStreamTarget, compileStreamTimeouts } from "./streams.ts";
import { compileServerTls, type TopTls } from "./tls.ts";

/** @param top of the configuration, what concerns every listener over TLS. */
export function compileQuic(
  entry: ProtocolConfig,
  top: TopTls,
  key: string,
  platform: NodeJS.Platform,
): QuicPlan {
  const { quic: given, limits } = entry;
  return {
    key,
    protocol: "quic",
    listen: entry.listen,
    tls: { ...compileServerTls(entry, top, entry.alpn ?? QUIC_DEFAULTS.alpn), minVersion: "1.3" },
    groups: [compileGroup(entry, compileStreamTarget)],
    access: compileAccess(entry),
    limits: compileLimits(entry),
    timeouts: compileStreamTimeouts(entry),
    socket: compileSocket(entry, platform),
    buffers: compileBuffers(entry),
    quic: {
      driver: given?.driver ?? "auto",
      keepAliveMs: given?.keep_alive ?? QUIC_DEFAULTS.keepAliveMs,
      idleMs: given?.idle ?? QUIC_DEFAULTS.idleMs,
      tokenFile: given?.token_file ?? null,
      streams: limits?.max_streams ?? QUIC_DEFAULTS.streams,
      earlyData: entry.early_data ?? false,
    },
  };
}
