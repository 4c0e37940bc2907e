// A plan as people read it: what `proxy check` prints. Pure.

import { formatDuration, formatPercent, formatSize } from "../config/units.ts";
import { type Endpoint, formatEndpoint } from "../shared/address.ts";
import { isHttpPlan, type LinkPlan, type TlsPlan } from "../shared/http-plan.ts";
import {
  type AdminPlan,
  formatTargets,
  type ListenerPlan,
  type OverloadPlan,
  type Plan,
  type RelayPlan,
  type RingPlan,
  type UdpPlan,
} from "../shared/plan.ts";
import type { QuicPlan } from "../shared/quic-plan.ts";
import { formatAutoTls } from "./plan-text/auto-tls.ts";
import { formatHttpListener, requestRows } from "./plan-text/http.ts";
import { quicRows } from "./plan-text/quic.ts";
import { recoveryRows } from "./plan-text/recovery.ts";
import {
  formatAccess,
  formatBuffers,
  formatConnections,
  formatGroup,
  type Row,
  table,
} from "./plan-text/rows.ts";
import { nameRoutes, relayRows, streamRows } from "./plan-text/streams.ts";

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
    formatShutdown(plan),
    formatOverload(plan.overload),
    ["log", `${log.level}, ${log.format}`],
    ...(plan.admin === null ? [] : [formatAdmin(plan.admin)]),
  ]);
  const off = disabled.map(({ name, listen }) => `${name} ${formatEndpoint(listen)}: disabled`);
  const { autoTls } = plan;
  const obtained = autoTls === null ? [] : [table(formatAutoTls(autoTls, plan))];
  const blocks = [head, ...obtained, ...plan.listeners.map(formatListener)];
  if (off.length > 0) blocks.push(off.join("\n"));
  return blocks.join("\n\n");
}

function formatShutdown({ shutdownDelayMs, shutdownTimeoutMs }: Plan): Row {
  const goesOn = `connections may go on for ${formatDuration(shutdownTimeoutMs)}`;
  if (shutdownDelayMs === 0) return ["shutdown", goesOn];
  return [
    "shutdown",
    `clients are still taken for ${formatDuration(shutdownDelayMs)}, then ${goesOn}`,
  ];
}

function formatOverload({ lagMs, memory, descriptorsShare }: OverloadPlan): Row {
  const ceilings = [
    ...(lagMs > 0 ? [`a worker is ${formatDuration(lagMs)} late`] : []),
    ...(memory === null ? [] : [`${formatMemory(memory)} is held`]),
    ...(descriptorsShare > 0
      ? [`${formatPercent(descriptorsShare)} of descriptors are taken`]
      : []),
  ];
  if (ceilings.length === 0) return ["overload", "new work is never turned away for it"];
  return ["overload", `new work is turned away when ${ceilings.join(", or ")}`];
}

function formatMemory(memory: NonNullable<OverloadPlan["memory"]>): string {
  return "bytes" in memory ? formatSize(memory.bytes) : `${formatPercent(memory.share)} of memory`;
}

function formatAdmin({ listen, tokenFile }: AdminPlan): Row {
  const who = tokenFile === null ? "" : `, with the token in ${tokenFile}`;
  return ["admin", `${formatEndpoint(listen)}${who}`];
}

function formatRing({ buffers, bufferBytes }: RingPlan): Row {
  const most = formatSize(buffers * bufferBytes);
  return [
    "uring",
    `receives into ${buffers} buffers of ${formatSize(bufferBytes)}, at most ${most} a worker`,
  ];
}

function formatListener(listener: ListenerPlan): string {
  if (isHttpPlan(listener)) return formatHttpListener(listener);
  const rows = rowsOf(listener);
  const [group] = listener.groups;
  if ("routes" in listener && listener.routes.length > 0) {
    rows.unshift(...nameRoutes(listener), ...formatClientHello(listener));
  } else if (group !== undefined) {
    if (group.targets.length > 1) rows.unshift(...formatGroup(group));
    rows.push(...recoveryRows(group));
  }
  return `${listener.key} -> ${formatTargets(listener)}\n${table(rows, "  ")}`;
}

/** What holds for whoever comes to it, whichever route they take. */
export function listenerRows(listener: ListenerPlan): Row[] {
  return isHttpPlan(listener) ? requestRows(listener) : rowsOf(listener);
}

function rowsOf(listener: RelayPlan | TlsPlan | LinkPlan | UdpPlan | QuicPlan): Row[] {
  switch (listener.protocol) {
    case "tcp":
      return relayRows(listener);
    case "udp":
      return udpRows(listener);
    case "quic":
      return quicRows(listener);
    case "tls":
    case "link":
      return streamRows(listener);
  }
}

function formatClientHello(listener: RelayPlan | TlsPlan | LinkPlan): Row[] {
  if (listener.protocol !== "tcp") return [];
  return [["first TLS message", `within ${formatDuration(listener.timeouts.clientHelloMs)}`]];
}

function udpRows({ access, limits, timeouts, socket }: UdpPlan): Row[] {
  return [
    ...formatAccess(access),
    ...formatConnections(limits, "sessions"),
    ["idle", `over after ${formatDuration(timeouts.idleMs)}`],
    ["socket", formatBuffers(socket).join(", ") || "the system's buffers"],
  ];
}
