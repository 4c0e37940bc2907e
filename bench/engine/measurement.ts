// What a measurement is: one way to load a relay, with the figures that it gives. Implemented by one file each
// beside this one; measure.ts runs them for all contestants in turn.

import type { BackendName } from "../backends.ts";
import { runChild } from "../children.ts";
import type { LoadRequest } from "../load/interval.ts";
import { descriptorLimit } from "../load/usage.ts";
import type { RunningPeer } from "../peers/peer.ts";

export interface Column {
  key: string;
  title: string;
  digits: number;
  better: "higher" | "lower";
}

export interface Scale {
  /** Length of one measured interval. */
  durationMs: number;
  /** How long a load program runs before that: as long as it takes to be compiled. */
  warmMs: number;
  /** Everything is tiny: it must only not crash and not lose bytes. */
  smoke: boolean;
}

/** A figure that cannot be had from a contestant is left out. */
export type Sample = Record<string, number>;

/** What all contestants are asked for alike, found out in the same run. */
export interface Pace {
  perSecond: number;
  /** Where the figure comes from, for the report. */
  note: string;
}

export interface Measurement {
  name: string;
  /** Those of one group are run by the group's name too. */
  group: string;
  title: string;
  /** The first column is the figure that the measurement is about. */
  columns: readonly Column[];
  backend: BackendName;
  /** A relay that has served before would falsify the figure: start a new one for each run. */
  freshPeer: boolean;
  /** How often and how long, where the defaults of measure.ts do not suit. */
  runs?: number;
  durationMs?: number;
  /** How long each contestant is loaded before the first run, where the default of measure.ts is too short. */
  relayWarmMs?: number;
  /** Contestants by name; without it, all. */
  contestants?: RegExp;
  /** Client, relay and backend share one processor. */
  oneCore?: boolean;
  /** Called once, before the first run. */
  findPace?(peers: ReadonlyMap<string, RunningPeer>, scale: Scale): Promise<Pace>;
  /** @param pace what `findPace` has found; 0 per second without it. */
  run(peer: RunningPeer, scale: Scale, pace: Pace): Promise<Sample>;
}

/** Thrown by `run` where this machine does not allow the measurement for this contestant: it is left out, aloud. */
export class CannotMeasure extends Error {}

const GRACE_MS = 60_000;
const DESCRIPTORS_BESIDE = 500; // listeners, logs, the warm-up's connections while they close

/** @throws CannotMeasure if the relay would run out of descriptors; client and backend need one for each connection. */
export function allowConnections(peer: RunningPeer, connections: number): void {
  const needed = connections * Math.max(peer.descriptorsPerConnection, 1) + DESCRIPTORS_BESIDE;
  const limit = descriptorLimit();
  if (needed <= limit) return;
  throw new CannotMeasure(`needs ${needed} descriptors, the hard limit is ${limit} (ulimit -Hn)`);
}

/** The part of a load program's request that is the same for all. */
export function loadOn(peer: RunningPeer, { warmMs }: Scale): LoadRequest {
  return { port: peer.port, pids: peer.pids(), warmMs };
}

/** Runs one of bench/load's programs, which takes one JSON argument and prints one JSON line. */
export async function runLoad<Result>(program: string, request: LoadRequest): Promise<Result> {
  const path = Bun.fileURLToPath(new URL(`../load/${program}`, import.meta.url));
  const runMs = "runMs" in request && typeof request.runMs === "number" ? request.runMs : 0;
  const timeoutMs = GRACE_MS + request.warmMs + runMs;
  const output = await runChild([process.execPath, path, JSON.stringify(request)], timeoutMs);
  return JSON.parse(output) as Result;
}

export function cpuColumns(per: string): Column[] {
  return [
    { key: "userUs", title: `user µs per ${per}`, digits: 2, better: "lower" },
    { key: "systemUs", title: `system µs per ${per}`, digits: 2, better: "lower" },
    { key: "cpuUs", title: `CPU µs per ${per}`, digits: 2, better: "lower" },
  ];
}

export function cpuPer(count: number, cpu: { userMs: number; systemMs: number }): Sample {
  const userUs = (cpu.userMs * 1000) / count;
  const systemUs = (cpu.systemMs * 1000) / count;
  return { userUs, systemUs, cpuUs: userUs + systemUs };
}
