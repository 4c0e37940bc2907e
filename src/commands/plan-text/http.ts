// Plans of listeners that forward requests as text: routes first, then what holds for all of them. Pure. Called by plan-text.ts.

import { formatDuration, formatSize } from "../../config/units.ts";
import { formatEndpoint } from "../../shared/address.ts";
import type {
  HeaderEditPlan,
  Http3Plan,
  HttpMatchPlan,
  HttpPlan,
  HttpRoutePlan,
  HttpTargetPlan,
} from "../../shared/http-plan.ts";
import { formatRetries, recoveryLines } from "./recovery.ts";
import {
  formatAccess,
  formatBackpressure,
  formatBandwidth,
  formatConnections,
  formatProxyHeader,
  formatSocket,
  type Row,
  table,
} from "./rows.ts";
import { formatClientTls, formatServerTls } from "./tls.ts";

export function formatHttpListener(listener: HttpPlan): string {
  const rows: Row[] = [
    ...listener.routes.flatMap((route) => formatRoute(route, listener)),
    ...(fitsAll(listener) ? [] : [["route", "what fits none is answered with 404"] as Row]),
    ...requestRows(listener),
  ];
  return `${listener.key}\n${table(rows, "  ")}`;
}

/** What holds for all of its routes. */
export function requestRows(listener: HttpPlan): Row[] {
  const { timeouts, buffers, socket, tls, trusted, accessLog } = listener;
  const handshake: Row = ["handshake", `within ${formatDuration(timeouts.handshakeMs)}`];
  return [
    ...(tls === null ? [] : [...formatServerTls(tls), handshake]),
    ...formatHttp3(listener.h3),
    ...formatAccess(listener.access),
    ...formatConnections(listener.limits),
    ...formatProxyHeader(listener),
    ...formatBandwidth(listener.limits),
    ...formatRequests(listener),
    ...formatTimes(listener),
    ...formatForwarded(listener),
    ...(trusted.length === 0 ? [] : [["trusted", trusted.join(", ")] as Row]),
    ["socket", formatSocket(socket)],
    formatBackpressure(buffers),
    ["access log", accessLog === null ? "off" : `${accessLog.path}, ${accessLog.format}`],
  ];
}

function fitsAll({ routes }: HttpPlan): boolean {
  return routes.some(({ match: { host, path, methods, headers } }) => {
    return host === null && path === null && methods === null && headers.length === 0;
  });
}

export function formatRoute(route: HttpRoutePlan, listener: HttpPlan): Row[] {
  const { groups } = listener;
  const { redirect, group, rewrite, request, response, compress, grpcWeb, host } = route;
  const rows: string[] = [];
  const asks = formatMatch(route.match);
  if (redirect !== null) rows.push(`${asks} -> ${redirect.status} to ${redirect.to}`);
  const found = group === null ? undefined : groups[group];
  if (found !== undefined) {
    const several = found.targets.length > 1 ? `, ${found.balance}` : "";
    rows.push(`${asks} -> ${found.targets.map(formatTarget).join(", ")}${several}`);
    rows.push(...recoveryLines(found));
    rows.push(`tried again: ${formatRetries(route.retries)}`);
  }
  if (rewrite !== null) rows.push(`path: ${formatRewrite(rewrite)}`);
  rows.push(...formatEdit("request", request), ...formatEdit("response", response));
  if (host === "target" && found !== undefined) rows.push("Host: the target's");
  if (compress) rows.push("answers compressed");
  if (grpcWeb) rows.push("gRPC-Web translated to gRPC");
  if (found !== undefined) rows.push(...formatBounds(route, listener));
  return rows.map((text, i) => [i === 0 ? "route" : "", i === 0 ? text : `  ${text}`]);
}

export function formatMatch({ host, path, methods, headers }: HttpMatchPlan): string {
  const parts = [
    ...(methods === null ? [] : [methods.join(" or ")]),
    ...(host === null && path === null ? [] : [`${host ?? ""}${path ?? ""}`]),
    ...headers.map(({ name, value }) =>
      value === null ? `with ${name}` : `with ${name}: ${value}`,
    ),
  ];
  return parts.length === 0 ? "every request" : parts.join(" ");
}

function formatTarget({ scheme, endpoint, tls, weight, backup }: HttpTargetPlan): string {
  const notes = [
    ...(weight === 1 ? [] : [`weight ${weight}`]),
    ...(backup ? ["backup"] : []),
    ...(tls === null ? [] : [formatClientTls(tls)]),
  ];
  const shown = notes.length === 0 ? "" : ` (${notes.join(", ")})`;
  return `${scheme}://${formatEndpoint(endpoint)}${shown}`;
}

function formatRewrite({
  stripPrefix,
  addPrefix,
}: {
  stripPrefix: string;
  addPrefix: string;
}): string {
  const parts = [
    ...(stripPrefix === "" ? [] : [`without ${stripPrefix}`]),
    ...(addPrefix === "" ? [] : [`below ${addPrefix}`]),
  ];
  return parts.join(", ");
}

function formatEdit(part: string, { set, add, remove }: HeaderEditPlan): string[] {
  const parts = [
    ...remove.map((name) => `without ${name}`),
    ...set.map(({ name, value }) => `${name}: ${value}`),
    ...add.map(({ name, value }) => `also ${name}: ${value}`),
  ];
  return parts.length === 0 ? [] : [`${part}: ${parts.join("; ")}`];
}

/** Where they are not the listener's. */
function formatBounds({ limits, timeouts }: HttpRoutePlan, listener: HttpPlan): string[] {
  const { bodyBytes } = limits;
  const { responseMs, idleMs, totalMs } = timeouts;
  const all = listener.timeouts;
  return [
    ...(bodyBytes === listener.limits.bodyBytes ? [] : [formatBody(bodyBytes)]),
    ...(responseMs === all.responseMs
      ? []
      : [`answer begins within ${formatDuration(responseMs)}`]),
    ...(idleMs === all.idleMs ? [] : [`idle: ${formatLimit(idleMs)}`]),
    ...(totalMs === all.totalMs ? [] : [`whole exchange: ${formatLimit(totalMs)}`]),
  ];
}

function formatBody(bytes: number): string {
  return bytes === 0 ? "bodies of any size" : `bodies up to ${formatSize(bytes)}`;
}

/** Small ones have no unit of their own. */
const formatBytes = (bytes: number): string =>
  bytes % 1024 === 0 ? formatSize(bytes) : `${bytes} bytes`;

const formatLimit = (ms: number): string => (ms === 0 ? "no limit" : formatDuration(ms));

function formatRequests({ limits }: HttpPlan): Row[] {
  const { headBytes, headFields, bodyBytes, streams, requestsPerConnection, minBytesPerSecond } =
    limits;
  const rows: Row[] = [
    [
      "requests",
      `heads up to ${formatSize(headBytes)} and ${headFields} fields, ${formatBody(bodyBytes)}`,
    ],
    ["streams", `at most ${streams} at once on an HTTP/2 connection`],
  ];
  if (requestsPerConnection > 0) {
    rows.push(["", `a connection is closed after ${requestsPerConnection} requests`]);
  }
  if (minBytesPerSecond > 0) {
    rows.push(["slow clients", `at least ${formatBytes(minBytesPerSecond)} a second`]);
  }
  return rows;
}

function formatTimes({ timeouts, groups }: HttpPlan): Row[] {
  const { connectMs, headMs, keepaliveMs, responseMs, idleMs, totalMs } = timeouts;
  const { backendKeepaliveMs, lifetimeMs } = timeouts;
  const keepalive = `${formatDuration(keepaliveMs)} to clients`;
  const towards: Row[] = [
    ["connect", `within ${formatDuration(connectMs)}`],
    [
      "answer",
      `begins within ${formatDuration(responseMs)}; whole exchange: ${formatLimit(totalMs)}`,
    ],
  ];
  const both = `${keepalive}, ${formatDuration(backendKeepaliveMs)} to targets`;
  return [
    ["head", `within ${formatDuration(headMs)}`],
    ...(groups.length === 0 ? [] : towards),
    ["idle", idleMs === 0 ? "for ever" : `reset after ${formatDuration(idleMs)}`],
    ["keepalive", groups.length === 0 ? keepalive : both],
    ...(lifetimeMs === 0
      ? []
      : [["lifetime", `closed after ${formatDuration(lifetimeMs)}, between requests`] as Row]),
  ];
}

function formatForwarded({ routes }: HttpPlan): Row[] {
  const plan = routes.find(({ group }) => group !== null)?.forwarded;
  if (plan === undefined) return [];
  const fields = [
    ...(plan.xForwarded ? ["X-Forwarded-For, -Proto, -Host, -Port, X-Real-IP"] : []),
    ...(plan.forwarded ? ["Forwarded"] : []),
    ...(plan.via ? ["Via"] : []),
    ...(plan.requestId ? ["X-Request-Id"] : []),
    ...(plan.clientSubject === null ? [] : [`${plan.clientSubject} (the client's certificate)`]),
  ];
  return [["targets get", fields.length === 0 ? "no fields besides" : fields.join(", ")]];
}

function formatHttp3(h3: Http3Plan | null): Row[] {
  if (h3 === null) return [];
  const { tcp, altSvcSeconds, earlyData } = h3;
  const told = `announced for ${formatDuration(altSvcSeconds * 1_000)} (Alt-Svc)`;
  const beside = `and the same port over TCP, ${altSvcSeconds === 0 ? "not announced there" : told}`;
  return [
    ["HTTP/3", `over QUIC${tcp ? `, ${beside}` : " alone"}`],
    ["0-RTT", earlyData ? "taken for safe methods; such requests can be replayed" : "off"],
  ];
}
