// wrk: HTTP/1.1 with one request at a time on each connection, from one thread. What it says is read by way of load/wrk.lua.

import { runChild } from "../children.ts";
import { cpuPer, type Sample, type Scale } from "../engine/measurement.ts";
import { cpuSince, cpuTime } from "../load/usage.ts";
import type { RunningPeer } from "../peers/peer.ts";

export interface WrkReport {
  requests: number;
  elapsedMs: number;
  bytes: number;
  /** Connections, reads and writes that failed, statuses other than 2xx and 3xx, timeouts. */
  failed: number;
  p50Us: number;
  p99Us: number;
}

const GRACE_MS = 20_000;
const script = Bun.fileURLToPath(new URL("../load/wrk.lua", import.meta.url));

/** @throws Error if the output lacks the script's line. */
export function parseWrk(output: string): WrkReport {
  const line = /^bench (.*)$/m.exec(output)?.[1];
  if (line === undefined) throw new Error(`wrk says nothing of its run: ${output}`);
  const figures = new Map(line.split(" ").map((each) => each.split("=") as [string, string]));
  const figure = (name: string): number => Number(figures.get(name));
  return {
    requests: figure("requests"),
    elapsedMs: figure("us") / 1000,
    bytes: figure("bytes"),
    failed: figure("failed"),
    p50Us: figure("p50"),
    p99Us: figure("p99"),
  };
}

/** @throws Error if a request failed. */
export async function wrk(
  peer: RunningPeer,
  scale: Scale,
  url: string,
  connections: number,
): Promise<Sample> {
  // wrk takes whole seconds only.
  const seconds = Math.max(1, Math.round(scale.durationMs / 1000));
  const command = ["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "-s", script, url];
  const pids = peer.pids();
  const before = cpuTime(pids);
  const report = parseWrk(await runChild(command, seconds * 1000 + GRACE_MS));
  const cpu = cpuSince(before, pids);
  if (report.failed > 0 || report.requests === 0) {
    throw new Error(`${report.failed} failures beside ${report.requests} requests`);
  }
  const { requests, elapsedMs, p50Us, p99Us } = report;
  return { rate: (requests * 1000) / elapsedMs, ...cpuPer(requests, cpu), p50Us, p99Us };
}
