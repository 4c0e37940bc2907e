// What plans of several protocols have alike, as rows of a name and a text. Pure. Called by the files beside this one and by
// plan-text.ts.

import { formatDuration, formatSize } from "../../config/units.ts";
import { formatEndpoint } from "../../shared/address.ts";
import type { AcceptProxyPlan } from "../../shared/http-plan.ts";
import type {
  AccessPlan,
  BufferSizesPlan,
  BuffersPlan,
  GroupPlan,
  HealthPlan,
  LimitsPlan,
  ListenerPlan,
  SocketPlan,
  TimeoutsPlan,
} from "../../shared/plan.ts";

export type Row = [string, string];

/** Who may connect. */
export function formatAccess({ allow, deny }: AccessPlan): Row[] {
  const rows: Row[] = [];
  if (allow.length > 0) rows.push(["allow", allow.join(", ")]);
  if (deny.length > 0) rows.push(["deny", deny.join(", ")]);
  return rows;
}

/** How many connections. @param what is counted. */
export function formatConnections(
  limits: Pick<LimitsPlan, "maxConnections" | "maxPerIp" | "acceptRate">,
  what = "connections",
): Row[] {
  const all = formatLimit(limits);
  const shown = limits.maxPerIp === 0 ? all : `${all}, ${limits.maxPerIp} from one address`;
  const rows: Row[] = [[what, shown]];
  if (limits.acceptRate > 0) rows.push(["accepts", `at most ${limits.acceptRate} each second`]);
  return rows;
}

export function formatIdle({ idleMs }: Pick<TimeoutsPlan, "idleMs">): Row {
  return ["idle", idleMs === 0 ? "for ever" : `reset after ${formatDuration(idleMs)}`];
}

export function formatBackpressure(buffers: BuffersPlan): Row {
  const { highWatermarkBytes: high, lowWatermarkBytes: low } = buffers;
  return ["backpressure", `stops at ${formatSize(high)}, goes on at ${formatSize(low)}`];
}

export function formatLimit({ maxConnections }: Pick<LimitsPlan, "maxConnections">): string {
  return maxConnections === 0 ? "as many as descriptors allow" : `at most ${maxConnections}`;
}

export function formatLifetime({ lifetimeMs }: Pick<TimeoutsPlan, "lifetimeMs">): Row[] {
  return lifetimeMs === 0 ? [] : [["lifetime", `reset after ${formatDuration(lifetimeMs)}`]];
}

export function formatGroup({ balance, targets }: GroupPlan): Row[] {
  return [
    ["balance", balance],
    ["targets", formatShares(targets)],
  ];
}

/** Of one route. */
export function formatDestination({
  targets,
  balance,
}: Pick<GroupPlan, "targets" | "balance">): string {
  return targets.length > 1 ? `${formatShares(targets)}, ${balance}` : formatShares(targets);
}

export function formatShares(targets: GroupPlan["targets"]): string {
  const shares = targets.map(({ endpoint, weight, backup }) => {
    const notes = [...(weight === 1 ? [] : [`weight ${weight}`]), ...(backup ? ["backup"] : [])];
    return `${formatEndpoint(endpoint)}${notes.length > 0 ? ` (${notes.join(", ")})` : ""}`;
  });
  return shares.join(", ");
}

export function formatHealth(health: HealthPlan): string {
  const { type, path, intervalMs, timeoutMs, rise, fall } = health;
  const what = type === "tcp" ? "connects" : `asks for ${path}`;
  const times = `every ${formatDuration(intervalMs)}, within ${formatDuration(timeoutMs)}`;
  return `${what} ${times}; down after ${fall} failures, up after ${rise} successes`;
}

export function formatBuffers({ sendBufferBytes, receiveBufferBytes }: BufferSizesPlan): string[] {
  const parts: string[] = [];
  if (sendBufferBytes !== null) parts.push(`send buffer ${formatSize(sendBufferBytes)}`);
  if (receiveBufferBytes !== null) parts.push(`receive buffer ${formatSize(receiveBufferBytes)}`);
  return parts;
}

export function formatSocket(socket: SocketPlan): string {
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

export function table(rows: readonly Readonly<Row>[], indent = ""): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${indent}${name.padEnd(width)}  ${value}`).join("\n");
}

/** What clients begin with. */
export function formatProxyHeader({
  proxyProtocol,
  listen,
  timeouts,
}: Pick<ListenerPlan, "listen"> & {
  readonly proxyProtocol: AcceptProxyPlan;
  readonly timeouts: Pick<TimeoutsPlan, "proxyHeaderMs">;
}): Row[] {
  const { accept, trusted } = proxyProtocol;
  if (accept === "off") return [];
  const whose = listen.kind === "unix" ? "whoever may open the socket" : trusted.join(", ");
  const version = accept === "any" ? "of either version" : accept;
  const time = `within ${formatDuration(timeouts.proxyHeaderMs)}`;
  return [["PROXY header", `${version}, from ${whose}, ${time}`]];
}

export function formatBandwidth(limits: LimitsPlan): Row[] {
  const { bytesPerSecond: all, connectionBytesPerSecond: each } = limits;
  const parts = [
    ...(all > 0 ? [`${formatSize(all)}/s`] : []),
    ...(each > 0 ? [`${formatSize(each)}/s for each connection`] : []),
  ];
  return parts.length > 0 ? [["bandwidth", parts.join(", ")]] : [];
}
