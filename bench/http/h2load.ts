// h2load: HTTP/2 with many streams on each connection, from one thread. Its own figures lack percentiles; they are made of the
// log that it writes, one line for each request.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { runChild } from "../children.ts";
import type { Scale } from "../engine/measurement.ts";
import { Histogram } from "../load/histogram.ts";
import { cpuSince, type CpuTime, cpuTime } from "../load/usage.ts";
import type { RunningPeer } from "../peers/peer.ts";

export interface H2loadReport {
  requests: number;
  /** Failed, errored, or timed out. */
  failed: number;
  /** Of bodies. */
  bytes: number;
  perSecond: number;
}

export interface H2loadResult extends H2loadReport {
  cpu: CpuTime;
  p50Us: number;
  p99Us: number;
}

const GRACE_MS = 20_000;
const SMOKE_REQUESTS_PER_STREAM = 2;
/** The same for all: what a server would choose differs by more than the servers do. */
const CIPHER = "TLS_AES_128_GCM_SHA256";

/** @throws Error if the output lacks a line of what is needed. */
export function parseH2load(output: string): H2loadReport {
  const [, perSecond] = /^finished in .*, ([\d.]+) req\/s/m.exec(output) ?? [];
  const counts = /^requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/m.exec(
    output,
  );
  const [, bytes] = /^traffic: .* \((\d+)\) data$/m.exec(output) ?? [];
  if (perSecond === undefined || counts === null || bytes === undefined) {
    throw new Error(`h2load says nothing of its run: ${output}`);
  }
  const [, succeeded, failed, errored, timeout] = counts.map(Number);
  return {
    requests: succeeded!,
    failed: failed! + errored! + timeout!,
    bytes: Number(bytes),
    perSecond: Number(perSecond),
  };
}

/** @param log lines of start, status and duration, all in µs, with tabs between. */
export function percentiles(log: string): { p50Us: number; p99Us: number } {
  const times = new Histogram();
  for (let from = 0; from < log.length;) {
    let end = log.indexOf("\n", from);
    if (end < 0) end = log.length;
    times.record(Number(log.slice(log.lastIndexOf("\t", end) + 1, end)) / 1000);
    from = end + 1;
  }
  return { p50Us: times.percentileUs(0.5), p99Us: times.percentileUs(0.99) };
}

export interface H2Load {
  connections: number;
  /** At once, on each connection. */
  streams: number;
  /** Sent as the body of a POST. */
  body?: Uint8Array;
  headers?: readonly string[];
}

/** @throws Error if a request failed. */
export async function h2load(
  peer: RunningPeer,
  scale: Scale,
  url: string,
  { connections, streams, body, headers = [] }: H2Load,
): Promise<H2loadResult> {
  const directory = mkdtempSync(join(tmpdir(), "proxy-bench-h2load-"));
  try {
    const log = join(directory, "log");
    const command = ["h2load", "-t1", `-c${connections}`, `-m${streams}`, `--log-file=${log}`];
    command.push(`--tls13-ciphers=${CIPHER}`);
    // With a time that ends before its connections are made it would hang.
    const few = connections * streams * SMOKE_REQUESTS_PER_STREAM;
    if (scale.smoke) command.push(`--requests=${few}`);
    else command.push(`--duration=${Math.round(scale.durationMs)}ms`);
    for (const header of headers) command.push("-H", header);
    if (body !== undefined) {
      const file = join(directory, "body");
      await Bun.write(file, body);
      command.push("-d", file);
    }
    const pids = peer.pids();
    const before = cpuTime(pids);
    const output = await runChild([...command, url], scale.durationMs + GRACE_MS);
    const cpu = cpuSince(before, pids);
    const report = parseH2load(output);
    if (report.failed > 0 || report.requests === 0) throw new Error(`requests failed: ${output}`);
    const times = percentiles(readFileSync(log, "latin1"));
    return { ...report, ...times, cpu };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
