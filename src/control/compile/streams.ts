// Listeners of streams in a gateway worker to their plans: a `tls` entry, and a `tcp` entry with quic:// targets. Called by
// compile.ts, and by quic.ts, whose streams go to the same kinds of targets.

import type { TargetConfig } from "../../config/schema-targets.ts";
import type { ProtocolConfig } from "../../config/schema.ts";
import { addressOf } from "../../config/target.ts";
import type { LinkPlan, StreamTargetPlan, TlsPlan } from "../../shared/http-plan.ts";
import {
  LISTENER_DEFAULTS,
  QUIC_DEFAULTS,
  QUIC_TARGET_DEFAULTS,
  TLS_DEFAULTS,
} from "../../shared/limits.ts";
import type { QuicClientPlan } from "../../shared/quic-plan.ts";
import { compileNameRoutes, compileTarget } from "./groups.ts";
import {
  compileAcceptProxy,
  compileAccess,
  compileBuffers,
  compileLimits,
  compileSocket,
  presetOf,
} from "./settings.ts";
import { compileClientTls, compileServerTls, type TopTls } from "./tls.ts";

/** @param top of the configuration, what concerns every listener over TLS. */
export function compileTls(
  entry: ProtocolConfig,
  top: TopTls,
  key: string,
  platform: NodeJS.Platform,
): TlsPlan {
  return {
    key,
    protocol: "tls",
    listen: entry.listen,
    tls: compileServerTls(entry, top, entry.alpn ?? []),
    ...compileStreams(entry, platform),
  };
}

/** @param entry has quic:// targets. */
export function compileLink(
  entry: ProtocolConfig,
  key: string,
  platform: NodeJS.Platform,
): LinkPlan {
  const { listen } = entry;
  return { key, protocol: "link", listen, tls: null, ...compileStreams(entry, platform) };
}

function compileStreams(
  entry: ProtocolConfig,
  platform: NodeJS.Platform,
): Omit<TlsPlan, "key" | "protocol" | "listen" | "tls"> {
  return {
    ...compileNameRoutes(entry, compileStreamTarget),
    access: compileAccess(entry),
    proxyProtocol: compileAcceptProxy(entry),
    sendProxy: entry.proxy_protocol?.send ?? "off",
    limits: compileLimits(entry),
    timeouts: {
      ...compileStreamTimeouts(entry),
      proxyHeaderMs: entry.timeouts?.proxy_header ?? LISTENER_DEFAULTS.proxyHeaderMs,
    },
    socket: compileSocket(entry, platform),
    buffers: compileBuffers(entry),
  };
}

export function compileStreamTimeouts(
  entry: ProtocolConfig,
): Omit<TlsPlan["timeouts"], "proxyHeaderMs"> {
  const { timeouts } = entry;
  return {
    connectMs: timeouts?.connect ?? LISTENER_DEFAULTS.connectMs,
    handshakeMs: timeouts?.handshake ?? TLS_DEFAULTS.handshakeMs,
    idleMs: timeouts?.idle ?? presetOf(entry).idleMs ?? LISTENER_DEFAULTS.idleMs,
    lifetimeMs: timeouts?.lifetime ?? LISTENER_DEFAULTS.lifetimeMs,
  };
}

export function compileStreamTarget(written: TargetConfig): StreamTargetPlan {
  const { tls, quic } = "address" in written ? written : {};
  if (addressOf(written).scheme === "quic") {
    return {
      ...compileTarget(written),
      tls: compileClientTls(tls ?? {}),
      quic: compileQuicTarget(quic),
    };
  }
  return {
    ...compileTarget(written),
    tls: tls === undefined ? null : compileClientTls(tls),
    quic: null,
  };
}

function compileQuicTarget(
  given: Extract<TargetConfig, { address: unknown }>["quic"],
): QuicClientPlan {
  return {
    driver: given?.driver ?? "auto",
    alpn: given?.alpn ?? QUIC_DEFAULTS.alpn,
    keepAliveMs: given?.keep_alive ?? QUIC_TARGET_DEFAULTS.keepAliveMs,
    idleMs: given?.idle ?? QUIC_TARGET_DEFAULTS.idleMs,
    tokenFile: given?.token_file ?? null,
  };
}
