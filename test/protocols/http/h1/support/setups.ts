// What servers and backends of tests are made of: limits and timeouts that nothing runs into, and lists of what was told.

import type {
  BackendSetup,
  ClientConnection,
  Failure,
  RequestTaker,
  ServerSetup,
} from "../../../../../src/protocols/http/exchange.ts";
import type { Wire } from "../../../../../src/protocols/wire/wire.ts";
import type { HttpLimitsPlan, HttpTimeoutsPlan } from "../../../../../src/shared/http-plan.ts";

export const LIMITS: HttpLimitsPlan = {
  maxConnections: 0,
  maxPerIp: 0,
  acceptRate: 0,
  bytesPerSecond: 0,
  connectionBytesPerSecond: 0,
  headBytes: 65_536,
  headFields: 128,
  bodyBytes: 0,
  streams: 100,
  requestsPerConnection: 0,
  minBytesPerSecond: 0,
};

export const TIMEOUTS: HttpTimeoutsPlan = {
  connectMs: 5_000,
  proxyHeaderMs: 5_000,
  handshakeMs: 10_000,
  headMs: 10_000,
  keepaliveMs: 60_000,
  responseMs: 60_000,
  idleMs: 0,
  totalMs: 0,
  backendKeepaliveMs: 60_000,
  lifetimeMs: 0,
};

export const CLIENT: ClientConnection = {
  address: "192.0.2.1",
  port: 40_000,
  tls: null,
  trusted: false,
};

/** What a server told its listener. */
export interface Told {
  readonly refused: string[];
  readonly gone: (Failure | null)[];
}

export function serverSetup(
  wire: Wire,
  take: RequestTaker,
  changes: { limits?: Partial<HttpLimitsPlan>; timeouts?: Partial<HttpTimeoutsPlan> } = {},
): ServerSetup & { readonly told: Told } {
  const told: Told = { refused: [], gone: [] };
  return {
    wire,
    take,
    told,
    connection: { ...CLIENT },
    events: {
      onGone: (failure) => void told.gone.push(failure),
      onRefused: (reason, detail) => void told.refused.push(`${reason} ${detail}`),
    },
    limits: { ...LIMITS, ...changes.limits },
    timeouts: { ...TIMEOUTS, ...changes.timeouts },
    nowMs: 0,
  };
}

/** What a backend's connection told its pool. */
export interface BackendTold {
  ready: number;
  changes: number;
  readonly gone: (Failure | null)[];
}

export function backendSetup(
  wire: Wire,
  limits: Partial<HttpLimitsPlan> = {},
): BackendSetup & { readonly told: BackendTold } {
  const told: BackendTold = { ready: 0, changes: 0, gone: [] };
  return {
    wire,
    told,
    events: {
      onReady: () => void told.ready++,
      onChange: () => void told.changes++,
      onGone: (_connection, failure) => void told.gone.push(failure),
    },
    limits: { ...LIMITS, ...limits },
  };
}
