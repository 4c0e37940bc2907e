// Plans of raw TCP and of TLS as rows. Pure. Called by plan-text.ts.

import { formatDuration, formatSize } from "../../config/units.ts";
import { type Endpoint, formatEndpoint } from "../../shared/address.ts";
import type { LinkPlan, TlsPlan } from "../../shared/http-plan.ts";
import type { RelayPlan, RoutePlan } from "../../shared/plan.ts";
import { recoveryLines } from "./recovery.ts";
import {
  formatAccess,
  formatBackpressure,
  formatBandwidth,
  formatConnections,
  formatDestination,
  formatIdle,
  formatLifetime,
  formatProxyHeader,
  formatSocket,
  type Row,
} from "./rows.ts";
import { formatHandshake, formatSecureTargets, formatServerTls } from "./tls.ts";

export function relayRows(listener: RelayPlan): Row[] {
  const { limits, timeouts, buffers, socket, mirror } = listener;
  return [
    ...formatAccess(listener.access),
    ...formatConnections(limits),
    ...formatProxyHeader(listener),
    ...formatSendProxy(listener.proxyProtocol.send),
    ...formatBandwidth(limits),
    ["connect", `within ${formatDuration(timeouts.connectMs)}`],
    formatIdle(timeouts),
    ...formatLifetime(timeouts),
    ["socket", formatSocket(socket)],
    formatBackpressure(buffers),
    ["reads", `up to ${formatSize(buffers.copyBytes)}`],
    ...formatMirror(mirror),
  ];
}

export function streamRows(listener: TlsPlan | LinkPlan): Row[] {
  const { limits, timeouts, buffers, socket, groups, tls } = listener;
  const targets = groups.flatMap((group) => group.targets);
  return [
    ...(tls === null ? [] : formatServerTls(tls)),
    ...(tls === null ? [] : [formatHandshake(timeouts)]),
    ...formatAccess(listener.access),
    ...formatConnections(limits),
    ...formatProxyHeader(listener),
    ...formatSendProxy(listener.sendProxy),
    ...formatSecureTargets(targets),
    ...formatBandwidth(limits),
    ["connect", `within ${formatDuration(timeouts.connectMs)}`],
    formatIdle(timeouts),
    ...formatLifetime(timeouts),
    ["socket", formatSocket(socket)],
    formatBackpressure(buffers),
  ];
}

function formatSendProxy(send: "off" | "v1" | "v2"): Row[] {
  return send === "off" ? [] : [["targets get", `a PROXY header, ${send}`]];
}

/** Routes by TLS name. */
export function nameRoutes({ routes, groups }: Pick<RelayPlan, "routes" | "groups">): Row[] {
  const rows = routes.flatMap(({ sni, alpn, group }): Row[] => {
    const who = formatHelloRule({ sni, alpn });
    const where = formatDestination(groups[group]!);
    return [
      ["route", `who ${who} -> ${where}`],
      ...recoveryLines(groups[group]!).map((line): Row => ["", line]),
    ];
  });
  const fitsAll = routes.some(({ sni, alpn }) => sni === null && alpn === null);
  if (!fitsAll) rows.push(["route", "who fits none is refused"]);
  return rows;
}

/** Of one route: `asks for db.example.com`. */
export function formatHelloRule({ sni, alpn }: Pick<RoutePlan, "sni" | "alpn">): string {
  const offers = alpn === null ? [] : [`offers ${alpn.join(" or ")}`];
  const asks = sni === null ? [] : [`asks for ${sni}`];
  return [...asks, ...offers].join(" and ") || "fits no other route";
}

function formatMirror(mirror: Endpoint | null): Row[] {
  if (mirror === null) return [];
  return [["mirror", `${formatEndpoint(mirror)} gets a copy of what clients send`]];
}
