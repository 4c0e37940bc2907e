// A plan as people read it: what `proxy check` prints. Pure.

import { formatDuration, formatSize } from "../config/units.ts";
import { type Endpoint, formatEndpoint } from "../shared/address.ts";
import {
  type BufferSizesPlan,
  formatTargets,
  type GroupPlan,
  type HealthPlan,
  type LimitsPlan,
  type ListenerPlan,
  type Plan,
  type RelayPlan,
  type RingPlan,
  type SocketPlan,
  type TimeoutsPlan,
  type UdpPlan,
} from "../shared/plan.ts";

/** A listener that the configuration names and the plan leaves out. */
interface Disabled {
  readonly name: string;
  readonly listen: Endpoint;
}

export function formatPlan(plan: Plan, disabled: readonly Disabled[] = []): string {
  const { log } = plan;
  const head = table([
    ["engine", plan.engine],
    ["workers", String(plan.workers)],
    ...(plan.engine === "auto" || plan.engine === "uring" ? [formatRing(plan.ring)] : []),
    ["shutdown", `connections may go on for ${formatDuration(plan.shutdownTimeoutMs)}`],
    ["log", `${log.level}, ${log.format}`],
  ]);
  const off = disabled.map(({ name, listen }) => `${name} ${formatEndpoint(listen)}: disabled`);
  const blocks = [head, ...plan.listeners.map(formatListener)];
  if (off.length > 0) blocks.push(off.join("\n"));
  return blocks.join("\n\n");
}

function formatRing({ buffers, bufferBytes }: RingPlan): [string, string] {
  const most = formatSize(buffers * bufferBytes);
  return [
    "uring",
    `receives into ${buffers} buffers of ${formatSize(bufferBytes)}, at most ${most} a worker`,
  ];
}

function formatListener(listener: ListenerPlan): string {
  const rows = listener.protocol === "tcp" ? relayRows(listener) : udpRows(listener);
  const [group] = listener.groups;
  if (listener.protocol === "tcp" && listener.routes.length > 0) {
    rows.unshift(...formatRoutes(listener));
  } else if (group !== undefined) {
    if (group.targets.length > 1) rows.unshift(...formatGroup(group));
    if (group.health) rows.push(["health", formatHealth(group.health)]);
  }
  return `${listener.key} -> ${formatTargets(listener)}\n${table(rows, "  ")}`;
}

function relayRows(listener: RelayPlan): [string, string][] {
  const { limits, timeouts, buffers, socket, mirror } = listener;
  return [
    ...formatAdmission(listener),
    ...formatBandwidth(limits),
    ["connect", `within ${formatDuration(timeouts.connectMs)}`],
    ["idle", timeouts.idleMs === 0 ? "for ever" : `reset after ${formatDuration(timeouts.idleMs)}`],
    ...formatLifetime(timeouts),
    ["socket", formatSocket(socket)],
    [
      "backpressure",
      `stops at ${formatSize(buffers.highWatermarkBytes)}, goes on at ${formatSize(buffers.lowWatermarkBytes)}`,
    ],
    ["reads", `up to ${formatSize(buffers.copyBytes)}`],
    ...formatMirror(mirror),
  ];
}

function udpRows({ limits, timeouts, socket }: UdpPlan): [string, string][] {
  return [
    ["sessions", formatLimit(limits)],
    ["idle", `over after ${formatDuration(timeouts.idleMs)}`],
    ["socket", formatBuffers(socket).join(", ") || "the system's buffers"],
  ];
}

function formatLimit({ maxConnections }: Pick<LimitsPlan, "maxConnections">): string {
  return maxConnections === 0 ? "as many as descriptors allow" : `at most ${maxConnections}`;
}

/** Who may connect, and what clients begin with. */
function formatAdmission({
  limits,
  access,
  proxyProtocol,
  listen,
  timeouts,
}: RelayPlan): [string, string][] {
  const { allow, deny } = access;
  const { accept, send, trusted } = proxyProtocol;
  const rows: [string, string][] = [];
  if (allow.length > 0) rows.push(["allow", allow.join(", ")]);
  if (deny.length > 0) rows.push(["deny", deny.join(", ")]);
  rows.push(["connections", formatConnections(limits)]);
  if (limits.acceptRate > 0) rows.push(["accepts", `at most ${limits.acceptRate} each second`]);
  if (accept !== "off") {
    const whose = listen.kind === "unix" ? "whoever may open the socket" : trusted.join(", ");
    const version = accept === "any" ? "of either version" : accept;
    const time = `within ${formatDuration(timeouts.proxyHeaderMs)}`;
    rows.push(["PROXY header", `${version}, from ${whose}, ${time}`]);
  }
  if (send !== "off") rows.push(["targets get", `a PROXY header, ${send}`]);
  return rows;
}

function formatConnections(limits: LimitsPlan): string {
  const all = formatLimit(limits);
  return limits.maxPerIp === 0 ? all : `${all}, ${limits.maxPerIp} from one address`;
}

function formatRoutes({ routes, groups, timeouts }: RelayPlan): [string, string][] {
  const rows = routes.flatMap(({ sni, alpn, group }): [string, string][] => {
    const offers = alpn === null ? [] : [`offers ${alpn.join(" or ")}`];
    const asks = sni === null ? [] : [`asks for ${sni}`];
    const who = [...asks, ...offers].join(" and ") || "fits no other route";
    const { targets, balance, health } = groups[group]!;
    const where =
      targets.length > 1 ? `${formatShares(targets)}, ${balance}` : formatShares(targets);
    return [
      ["route", `who ${who} -> ${where}`],
      ...(health === null ? [] : [["", formatHealth(health)] as [string, string]]),
    ];
  });
  const fitsAll = routes.some(({ sni, alpn }) => sni === null && alpn === null);
  if (!fitsAll) rows.push(["route", "who fits none is refused"]);
  return [...rows, ["first TLS message", `within ${formatDuration(timeouts.clientHelloMs)}`]];
}

function formatLifetime({ lifetimeMs }: TimeoutsPlan): [string, string][] {
  return lifetimeMs === 0 ? [] : [["lifetime", `reset after ${formatDuration(lifetimeMs)}`]];
}

function formatMirror(mirror: Endpoint | null): [string, string][] {
  if (mirror === null) return [];
  return [["mirror", `${formatEndpoint(mirror)} gets a copy of what clients send`]];
}

function formatBandwidth(limits: LimitsPlan): [string, string][] {
  const { bytesPerSecond: all, connectionBytesPerSecond: each } = limits;
  const parts = [
    ...(all > 0 ? [`${formatSize(all)}/s`] : []),
    ...(each > 0 ? [`${formatSize(each)}/s for each connection`] : []),
  ];
  return parts.length > 0 ? [["bandwidth", parts.join(", ")]] : [];
}

function formatGroup({ balance, targets }: GroupPlan): [string, string][] {
  return [
    ["balance", balance],
    ["targets", formatShares(targets)],
  ];
}

function formatShares(targets: GroupPlan["targets"]): string {
  const shares = targets.map(({ endpoint, weight, backup }) => {
    const notes = [...(weight === 1 ? [] : [`weight ${weight}`]), ...(backup ? ["backup"] : [])];
    return `${formatEndpoint(endpoint)}${notes.length > 0 ? ` (${notes.join(", ")})` : ""}`;
  });
  return shares.join(", ");
}

function formatHealth(health: HealthPlan): string {
  const { type, path, intervalMs, timeoutMs, rise, fall } = health;
  const what = type === "tcp" ? "connects" : `asks for ${path}`;
  const times = `every ${formatDuration(intervalMs)}, within ${formatDuration(timeoutMs)}`;
  return `${what} ${times}; down after ${fall} failures, up after ${rise} successes`;
}

function formatBuffers({ sendBufferBytes, receiveBufferBytes }: BufferSizesPlan): string[] {
  const parts: string[] = [];
  if (sendBufferBytes !== null) parts.push(`send buffer ${formatSize(sendBufferBytes)}`);
  if (receiveBufferBytes !== null) parts.push(`receive buffer ${formatSize(receiveBufferBytes)}`);
  return parts;
}

function formatSocket(socket: SocketPlan): string {
  const parts: string[] = [];
  if (socket.nodelay) parts.push("nodelay");
  if (socket.quickack) parts.push("quickack");
  if (socket.fastopen) parts.push("fastopen");
  parts.push(
    socket.keepaliveSeconds === 0
      ? "no keepalive"
      : `keepalive ${formatDuration(socket.keepaliveSeconds * 1_000)}`,
  );
  parts.push(...formatBuffers(socket));
  if (socket.notsentLowatBytes !== null)
    parts.push(`notsent_lowat ${formatSize(socket.notsentLowatBytes)}`);
  return parts.join(", ");
}

function table(rows: readonly (readonly [string, string])[], indent = ""): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${indent}${name.padEnd(width)}  ${value}`).join("\n");
}
