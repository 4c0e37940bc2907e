// Plans of TLS listeners for tests. Called by tests of certificates and of the protocol tls.

import { parseEndpoint } from "../../src/shared/address.ts";
import type { StreamGroupPlan, TlsPlan, TlsServerPlan } from "../../src/shared/http-plan.ts";
import { groupOf } from "./gateway-host.ts";
import { type ListenerOptions, listenerPlan } from "./plan.ts";

export interface TlsOptions
  extends Partial<TlsServerPlan>, Omit<ListenerOptions, "groups" | "target" | "routes"> {
  target?: string;
  /** Instead of `target`. */
  groups?: readonly StreamGroupPlan[];
  routes?: TlsPlan["routes"];
  handshakeMs?: number;
  sendProxy?: TlsPlan["sendProxy"];
}

export function tlsPlan(options: TlsOptions): TlsPlan {
  const { groups, routes = [], target = "127.0.0.1:1", listen = "127.0.0.1:0", ...rest } = options;
  const common = listenerPlan({ ...rest, listen, target });
  const { connectMs, idleMs, lifetimeMs, proxyHeaderMs } = common.timeouts;
  const { accept, trusted } = common.proxyProtocol;
  return {
    key: options.key ?? `tls ${listen}`,
    protocol: "tls",
    listen: parseEndpoint(listen, "listen"),
    tls: {
      certificates: options.certificates ?? [],
      clientCaFile: options.clientCaFile ?? null,
      clientAuth: options.clientAuth ?? "none",
      managed: options.managed ?? false,
      onDemand: options.onDemand ?? false,
      minVersion: options.minVersion ?? "1.2",
      alpn: options.alpn ?? [],
    },
    groups: groups ?? [groupOf(target)],
    routes,
    access: common.access,
    proxyProtocol: { accept, trusted },
    sendProxy: options.sendProxy ?? "off",
    limits: common.limits,
    timeouts: {
      connectMs,
      idleMs,
      lifetimeMs,
      proxyHeaderMs,
      handshakeMs: options.handshakeMs ?? 5_000,
    },
    socket: common.socket,
    buffers: common.buffers,
  };
}
