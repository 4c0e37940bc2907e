// What this process holds of memory and descriptors, and what it may hold. Read anew at each call: nothing is kept but what
// cannot change. Called by watch.ts, by metrics, and by `proxy doctor`.

import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { totalmem } from "node:os";
import { dirname } from "node:path";

import { reportedDescriptors } from "../../shared/reported-descriptors.ts";
import { memoryLimitFiles, parseHeldBytes, parseMemoryLimit, parseSocketBytes } from "./cgroup.ts";

const LINUX = process.platform === "linux";

/** @returns null: it is not there, or may not be read. */
function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/** Of the groups around this process, the nearest first. */
function limitFiles(): string[] {
  return memoryLimitFiles((LINUX && read("/proc/self/cgroup")) || "");
}

/** The least that a group around this process has; null: none of them has a limit. */
export function readMemoryLimit(): number | null {
  const limits = limitFiles()
    .map((file) => parseMemoryLimit(read(file) ?? ""))
    .filter((limit) => limit !== null);
  return limits.length === 0 ? null : Math.min(...limits);
}

/** What this process may hold at most: what its groups, or else the machine, have. */
export function memoryLimit(): number {
  return Math.min(readMemoryLimit() ?? Infinity, totalmem());
}

/**
 * What this process holds, with what the kernel holds for its sockets, as far as that is told. Not what others in its group
 * hold: turning clients away would give nothing of that back.
 */
export function memoryHeld(): number {
  const held = LINUX ? parseHeldBytes(read("/proc/self/status") ?? "") : null;
  if (held === null) return process.memoryUsage.rss();
  const [nearest] = limitFiles();
  const stat = nearest?.endsWith("/memory.max") ? read(`${dirname(nearest)}/memory.stat`) : null;
  return held + parseSocketBytes(stat ?? "");
}

/** How many descriptors are open; null where there is no limit to compare it with. */
export function openDescriptors(): number | null {
  if (process.platform === "win32") return null;
  // Since Linux 6.2 the folder's size is their number.
  const counted = LINUX ? (statSync("/proc/self/fd", { throwIfNoEntry: false })?.size ?? 0) : 0;
  return counted > 0 ? counted : lowestFree();
}

/** The system gives the lowest number that is free, and none when those below the limit are taken: that is what runs short. */
function lowestFree(): number | null {
  try {
    const fd = openSync("/dev/null", "r");
    closeSync(fd);
    return fd;
  } catch {
    return descriptorsMax();
  }
}

let reported: number | undefined;

/** The soft limit, which workers raise when they start (proc(5): `Max open files  1024  4096  files`); null: there is none. */
export function descriptorsMax(): number | null {
  if (process.platform === "win32") return null;
  if (!LINUX) return (reported ??= reportedDescriptors()) || null;
  const [, soft] = /^Max open files\s+(\d+)/m.exec(read("/proc/self/limits") ?? "") ?? [];
  return soft === undefined ? null : Number(soft);
}
