// The plan of a listener over QUIC as rows. Pure. Called by plan-text.ts.

import { formatDuration } from "../../config/units.ts";
import type { QuicPlan } from "../../shared/quic-plan.ts";
import {
  formatAccess,
  formatBackpressure,
  formatBandwidth,
  formatConnections,
  formatIdle,
  formatLifetime,
  formatSocket,
  type Row,
} from "./rows.ts";
import { formatHandshake, formatSecureTargets, formatServerTls, formatTransport } from "./tls.ts";

export function quicRows(listener: QuicPlan): Row[] {
  const { access, limits, timeouts, socket, buffers, groups, tls, quic } = listener;
  const early = quic.earlyData ? ["takes early data (0-RTT), which can be replayed"] : [];
  return [
    ...formatServerTls(tls),
    formatHandshake(timeouts),
    ...formatAccess(access),
    ...formatConnections(limits),
    ...formatBandwidth(limits),
    ["QUIC", [...formatTransport(quic), ...early].join(", ")],
    ["streams", `at most ${quic.streams} of one connection`],
    ...formatSecureTargets(groups.flatMap(({ targets }) => targets)),
    ["connect", `within ${formatDuration(timeouts.connectMs)}`],
    formatIdle(timeouts),
    ...formatLifetime(timeouts),
    ["socket", formatSocket(socket)],
    formatBackpressure(buffers),
  ];
}
