// What Linux tells of a process: descriptors, memory, CPU time (proc(5)).

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Targets of every open descriptor: `socket:[1]`, `pipe:[2]`, `anon_inode:[eventpoll]`. */
export function descriptors(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((fd) => {
    try {
      return [readlinkSync(`${folder}/${fd}`)];
    } catch {
      return []; // closed between the two calls
    }
  });
}

export interface DescriptorCounts {
  sockets: number;
  pipes: number;
  all: number;
}

export function countDescriptors(pid: number): DescriptorCounts {
  const open = descriptors(pid);
  const count = (kind: string): number => open.filter((name) => name.startsWith(kind)).length;
  return { sockets: count("socket:"), pipes: count("pipe:"), all: open.length };
}

/** VmRSS in bytes. */
export function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  if (match === null) throw new Error(`no VmRSS for process ${pid}`);
  return Number(match[1]) * 1024;
}

/** User and system time so far, in milliseconds: fields 14 and 15, in ticks of 10 ms. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** VmHWM in bytes: the most that VmRSS ever was. */
export function peakResidentBytes(pid: number): number {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  if (match === null) throw new Error(`no VmHWM for process ${pid}`);
  return Number(match[1]) * 1024;
}
