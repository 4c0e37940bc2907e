// Processes as Linux tells of them (proc(5)): who is to replace whom. Called for `proxy upgrade`, which has nothing but a
// process id to go by, and to end a successor that does not serve.

import { readdirSync, readFileSync } from "node:fs";

/** The bit of SIGUSR2 in SigCgt: signal 12, counted from 1. */
const SIGUSR2_BIT = 1n << 11n;

/** What `ps` calls a process whose successor serves. */
export const REPLACED_NAME = "proxy-replaced";

export interface ProcessState {
  readonly parent: number;
  readonly name: string;
}

/** undefined: there is no such process, or it has ended and nobody has asked how. */
export function stateOf(pid: number): ProcessState | undefined {
  const stat = read(`/proc/${pid}/stat`);
  // The name is in parentheses and may hold any character.
  const [, name = "", state, parent] = /^\d+ \((.*)\) (\S) (\d+) /s.exec(stat) ?? [];
  return parent === undefined || state === "Z" ? undefined : { parent: Number(parent), name };
}

/** Processes that this one has started to replace it: its children, and orphans that say so (see successor.ts). */
export function successorsOf(pid: number): number[] {
  const legacy = `PROXY_UPGRADE={"parent":${pid},`;
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((each) => {
    const state = stateOf(each);
    if (state === undefined || each === pid) return false;
    return state.parent === pid || read(`/proc/${each}/environ`).includes(legacy);
  });
}

/** Whether SIGUSR2 would not end it. */
export function hearsSigusr2(pid: number): boolean {
  const caught = /^SigCgt:\s*([\da-f]+)$/m.exec(read(`/proc/${pid}/status`))?.[1];
  return caught !== undefined && (BigInt(`0x${caught}`) & SIGUSR2_BIT) !== 0n;
}

/** As its command line tells, with what every proxy is started that can be upgraded: shells catch SIGUSR2 too, and end by it. */
export function looksLikeProxy(pid: number): boolean {
  const words = read(`/proc/${pid}/cmdline`).split("\0");
  return words.some((word) => /^--?(listen|config)(=|$)/.test(word));
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // it has ended
  }
}
