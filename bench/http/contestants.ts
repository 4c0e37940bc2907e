// What the measurements of gateways have in common.

import { type Column, cpuColumns } from "../engine/measurement.ts";
import type { RunningPeer } from "../peers/peer.ts";

/** Who takes part: relays of bytes do not. */
const GATEWAYS = /^(direct|proxy-http|nginx-http|haproxy-http|caddy)$/;

/** Until what serves requests is compiled to its last tier, which takes some 60,000 of them. */
const RELAY_WARM_MS = 8_000;

/** What every measurement of gateways begins with. */
export const OF_GATEWAYS = {
  group: "http",
  freshPeer: false,
  contestants: GATEWAYS,
  relayWarmMs: RELAY_WARM_MS,
} as const;

export const LATENCY: readonly Column[] = [
  { key: "p50Us", title: "median µs", digits: 0, better: "lower" },
  { key: "p99Us", title: "99th % µs", digits: 0, better: "lower" },
];

export function rateOf(title: string, per: string): readonly Column[] {
  return [{ key: "rate", title, digits: 0, better: "higher" }, ...cpuColumns(per), ...LATENCY];
}

export const BULK_COLUMNS: readonly Column[] = [
  { key: "rate", title: "Gbit/s", digits: 2, better: "higher" },
  { key: "userMs", title: "user ms per GB", digits: 1, better: "lower" },
  { key: "systemMs", title: "system ms per GB", digits: 1, better: "lower" },
  { key: "cpuMs", title: "CPU ms per GB", digits: 1, better: "lower" },
  ...LATENCY,
];

export function bulkSample(
  bytes: number,
  elapsedMs: number,
  cpu: { userMs: number; systemMs: number },
): { rate: number; userMs: number; systemMs: number; cpuMs: number } {
  const gigabytes = bytes / 1e9;
  const [userMs, systemMs] = [cpu.userMs / gigabytes, cpu.systemMs / gigabytes];
  return { rate: (bytes * 8) / elapsedMs / 1e6, userMs, systemMs, cpuMs: userMs + systemMs };
}

/** @throws if the contestant has no such port: a mistake in its set-up. */
export function urlOf(
  peer: RunningPeer,
  port: "port" | "h2cPort" | "tlsPort",
  path: string,
): string {
  const number = peer[port];
  if (number === undefined) throw new Error(`no ${port}`);
  return `${port === "tlsPort" ? "https" : "http"}://127.0.0.1:${number}${path}`;
}
