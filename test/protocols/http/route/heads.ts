// Heads and connections as the tests of the gateway's decisions need them.

import type { ClientConnection } from "../../../../src/protocols/http/exchange.ts";
import { RequestHead } from "../../../../src/protocols/http/message/heads.ts";
import type { WireTls } from "../../../../src/protocols/wire/wire.ts";
import type { HttpMatchPlan, HttpRoutePlan } from "../../../../src/shared/http-plan.ts";

export interface Asked {
  method?: string;
  authority?: string;
  path?: string;
  upgrade?: string;
  version?: RequestHead["version"];
  fields?: readonly (readonly [name: string, value: string])[];
}

export function requestHead(asked: Asked = {}): RequestHead {
  const head = new RequestHead();
  head.method = asked.method ?? "GET";
  head.authority = asked.authority ?? "a.example";
  head.path = asked.path ?? "/";
  head.upgrade = asked.upgrade ?? "";
  head.version = asked.version ?? 11;
  for (const [name, value] of asked.fields ?? []) {
    head.fields.addBytes(Buffer.from(name, "latin1"), Buffer.from(value, "latin1"));
  }
  return head;
}

export function connection(changes: Partial<ClientConnection> = {}): ClientConnection {
  return {
    address: "192.0.2.7",
    port: 40_000,
    tls: null,
    trusted: false,
    ...changes,
  };
}

export function wireTls(changes: Partial<WireTls> = {}): WireTls {
  return {
    alpn: "h2",
    serverName: "a.example",
    version: "TLSv1.3",
    cipher: "TLS_AES_128_GCM_SHA256",
    resumed: false,
    clientSubject: "",
    clientFingerprint: "",
    ...changes,
  };
}

export const ANY: HttpMatchPlan = { host: null, path: null, methods: null, headers: [] };

export function match(changes: Partial<HttpMatchPlan>): Pick<HttpRoutePlan, "match"> {
  return { match: { ...ANY, ...changes } };
}

export function routePlan(changes: Partial<HttpRoutePlan> = {}): HttpRoutePlan {
  const none = { set: [], add: [], remove: [] };
  return {
    name: "route",
    match: ANY,
    group: 0,
    redirect: null,
    request: none,
    response: none,
    rewrite: null,
    retries: { attempts: 0, connect: true, statuses: [], budget: null },
    compress: false,
    grpcWeb: false,
    grpcWebOrigins: [],
    host: "client",
    forwarded: {
      xForwarded: true,
      forwarded: false,
      via: false,
      requestId: false,
      clientSubject: null,
    },
    limits: { bodyBytes: 0 },
    timeouts: { responseMs: 0, idleMs: 0, totalMs: 0 },
    ...changes,
  };
}
