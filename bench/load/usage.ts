// CPU time and memory of other processes, from their clocks and from /proc (proc(5)). Called by the load generators, which
// sample a relay at both ends of the measured interval, and by the measurements.

import { ptr } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

import { fail, libc } from "./libc.ts";

export interface CpuTime {
  userMs: number;
  systemMs: number;
}

const MS_PER_TICK = 10; // USER_HZ is 100 on every Linux architecture that Bun runs on
const KIB_PER_PAGE = 4;

/** The process and its descendants: nginx works in a child of the process that was started. */
export function processTree(pid: number): number[] {
  const pids = [pid];
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const children = readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").trim();
    if (children !== "") pids.push(...children.split(" ").flatMap((c) => processTree(Number(c))));
  }
  return pids;
}

/** A line of /proc/PID/stat or of a thread's. */
function parseStat(stat: string): CpuTime {
  // The command's name, field 2, may hold spaces; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    userMs: Number(fields[11]) * MS_PER_TICK,
    systemMs: Number(fields[12]) * MS_PER_TICK,
  };
}

const clock = new Int32Array(new ArrayBuffer(4));
/** struct timespec { time_t tv_sec; long tv_nsec; } */
const time = new Int32Array(new ArrayBuffer(16));

/** All CPU time of a process, to the nanosecond: of its threads that have ended, too (clock_getcpuclockid(3)). */
function processMs(pid: number): number {
  if (libc.clock_getcpuclockid(pid, ptr(clock)) !== 0) throw new Error(`process ${pid} has ended`);
  if (libc.clock_gettime(clock[0]!, ptr(time)) < 0) fail("clock_gettime");
  return time[0]! * 1_000 + time[2]! / 1_000_000;
}

/** CPU time of these processes since they started: user in steps of 10 ms, both together without. */
export function cpuTime(pids: readonly number[]): CpuTime {
  const total = { userMs: 0, systemMs: 0 };
  for (const pid of pids) {
    const { userMs } = parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
    total.userMs += userMs;
    total.systemMs += processMs(pid) - userMs;
  }
  return total;
}

export function cpuSince(before: CpuTime, pids: readonly number[]): CpuTime {
  const now = cpuTime(pids);
  return { userMs: now.userMs - before.userMs, systemMs: now.systemMs - before.systemMs };
}

/** CPU time of each thread of these processes in ms, by thread. */
export function threadTimes(pids: readonly number[]): Map<string, number> {
  const times = new Map<string, number>();
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const stat = readIfThere(() => readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8"));
      const { userMs, systemMs } = parseStat(stat);
      if (stat !== "") times.set(thread, userMs + systemMs);
    }
  }
  return times;
}

/** Threads end and descriptors close while they are looked at: that is no error, and what they were is "". */
function readIfThere(read: () => string): string {
  try {
    return read();
  } catch {
    return "";
  }
}

/**
 * How many sockets each event loop of these processes waits for, by descriptor: the kernel lists what is in an epoll
 * set, and what is in flight on a ring unless that is busy just then (proc_pid_fdinfo(5)).
 */
export function socketsPerLoop(pids: readonly number[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const pid of pids) {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      const link = readIfThere(() => readlinkSync(`/proc/${pid}/fd/${fd}`));
      if (!/^anon_inode:\[(eventpoll|io_uring)\]$/.test(link)) continue;
      const info = readIfThere(() => readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8"));
      counts.set(`${pid} ${fd}`, info.match(/^(tfd:| *op=)/gm)?.length ?? 0);
    }
  }
  return counts;
}

/** Resident memory of these processes in KiB. */
export function residentKib(pids: readonly number[]): number {
  const pages = pids.map((pid) => Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]));
  return pages.reduce((sum, count) => sum + count * KIB_PER_PAGE, 0);
}

/** How many descriptors a process started here may have: the hard limit, to which relays raise their own. */
export function descriptorLimit(): number {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)![1]!;
  return hard === "unlimited" ? Infinity : Number(hard);
}

/** Kernel memory of the whole machine in slabs, in KiB: sockets, files, epoll items. */
export function slabKib(): number {
  return Number(/^Slab:\s+(\d+)/m.exec(readFileSync("/proc/meminfo", "utf8"))![1]);
}
