// An `http`, `http2` or `http3` entry to its plan. Called by compile.ts; routes are in http-routes.ts.

import { servesTcp } from "../../config/addresses.ts";
import type { Config, ProtocolConfig } from "../../config/schema.ts";
import type {
  AccessLogPlan,
  Http3Plan,
  HttpLimitsPlan,
  HttpPlan,
  HttpTimeoutsPlan,
} from "../../shared/http-plan.ts";
import {
  HTTP3_DEFAULTS,
  HTTP_DEFAULTS,
  LISTENER_DEFAULTS,
  TLS_DEFAULTS,
} from "../../shared/limits.ts";
import { compileRoutes } from "./http-routes.ts";
import {
  compileAcceptProxy,
  compileAccess,
  compileBuffers,
  compileLimits,
  compileSocket,
  presetOf,
} from "./settings.ts";
import { compileServerTls, type TopTls } from "./tls.ts";

/** What a client may choose from, best first. */
const ALPN = ["h2", "http/1.1"] as const;

/** @param top of the configuration, what concerns every listener. */
export function compileHttp(
  entry: ProtocolConfig & { readonly name: "http" | "http2" | "http3" },
  top: TopTls & Pick<Config, "access_log" | "access_log_format" | "protocols">,
  key: string,
  platform: NodeJS.Platform,
): HttpPlan {
  const limits = compileHttpLimits(entry);
  const timeouts = compileHttpTimeouts(entry);
  return {
    key,
    protocol: entry.name,
    listen: entry.listen,
    tls: entry.name === "http" ? null : compileServerTls(entry, top, ALPN),
    ...compileRoutes(entry, { limits, timeouts }),
    access: compileAccess(entry),
    trusted: entry.trusted ?? [],
    proxyProtocol: compileAcceptProxy(entry),
    limits,
    timeouts,
    socket: compileSocket(entry, platform),
    buffers: compileBuffers(entry),
    accessLog: compileAccessLog(top),
    h3: entry.name === "http3" ? compileHttp3(entry, top) : null,
  };
}

function compileHttp3(entry: ProtocolConfig, { protocols }: Pick<Config, "protocols">): Http3Plan {
  const tcp = servesTcp(entry, protocols);
  const { alt_svc: altSvcMs = HTTP3_DEFAULTS.altSvcMs } = entry;
  return { tcp, altSvcSeconds: tcp ? altSvcMs / 1_000 : 0, earlyData: entry.early_data ?? false };
}

function compileHttpLimits(entry: ProtocolConfig): HttpLimitsPlan {
  const { limits } = entry;
  return {
    ...compileLimits(entry),
    headBytes: limits?.max_head ?? HTTP_DEFAULTS.headBytes,
    headFields: limits?.max_head_fields ?? HTTP_DEFAULTS.headFields,
    bodyBytes: limits?.max_body ?? HTTP_DEFAULTS.bodyBytes,
    streams: limits?.max_streams ?? HTTP_DEFAULTS.streams,
    requestsPerConnection: limits?.max_requests ?? HTTP_DEFAULTS.requestsPerConnection,
    minBytesPerSecond: limits?.min_rate ?? HTTP_DEFAULTS.minBytesPerSecond,
  };
}

function compileHttpTimeouts(entry: ProtocolConfig): HttpTimeoutsPlan {
  const { timeouts } = entry;
  return {
    connectMs: timeouts?.connect ?? LISTENER_DEFAULTS.connectMs,
    proxyHeaderMs: timeouts?.proxy_header ?? LISTENER_DEFAULTS.proxyHeaderMs,
    handshakeMs: timeouts?.handshake ?? TLS_DEFAULTS.handshakeMs,
    headMs: timeouts?.head ?? HTTP_DEFAULTS.headMs,
    keepaliveMs: timeouts?.keepalive ?? HTTP_DEFAULTS.keepaliveMs,
    responseMs: timeouts?.response ?? HTTP_DEFAULTS.responseMs,
    idleMs: timeouts?.idle ?? presetOf(entry).idleMs ?? HTTP_DEFAULTS.idleMs,
    totalMs: timeouts?.total ?? HTTP_DEFAULTS.totalMs,
    backendKeepaliveMs: timeouts?.backend_keepalive ?? HTTP_DEFAULTS.backendKeepaliveMs,
    lifetimeMs: timeouts?.lifetime ?? LISTENER_DEFAULTS.lifetimeMs,
  };
}

function compileAccessLog(
  top: Pick<Config, "access_log" | "access_log_format">,
): AccessLogPlan | null {
  const { access_log: path = "off", access_log_format: format = "json" } = top;
  return path === "off" ? null : { path, format };
}
