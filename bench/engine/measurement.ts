// What a measurement is: one way to load a relay, with the figures that it gives. Implemented by one file each
// beside this one; main.ts runs them for all contestants in turn.

import type { BackendName } from "../backends.ts";
import { runChild } from "../children.ts";
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
  /** Everything is tiny: it must only not crash and not lose bytes. */
  smoke: boolean;
}

export type Sample = Record<string, number>;

export interface Measurement {
  name: string;
  title: string;
  /** The first column is the figure that the measurement is about. */
  columns: readonly Column[];
  backend: BackendName;
  /** A relay that has served before would falsify the figure: start a new one for each run. */
  freshPeer: boolean;
  run(peer: RunningPeer, scale: Scale): Promise<Sample>;
}

/** Thrown by `run` where this machine does not allow the measurement for this contestant: it is left out, aloud. */
export class CannotMeasure extends Error {}

const GRACE_MS = 60_000;

/** Runs one of bench/load's programs, which takes one JSON argument and prints one JSON line. */
export async function runLoad<Result>(program: string, request: object): Promise<Result> {
  const path = Bun.fileURLToPath(new URL(`../load/${program}`, import.meta.url));
  const runMs = "runMs" in request && typeof request.runMs === "number" ? request.runMs : 0;
  const timeoutMs = GRACE_MS + runMs;
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
