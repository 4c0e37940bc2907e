// What Linux writes of a process's memory and of the limits around it (proc(5), cgroups(7)). Pure: texts in, values out. Called
// by usage.ts.

/**
 * @param cgroups /proc/PID/cgroup: `0::/path` of version 2, `4:memory:/path` of version 1.
 * @returns files that may have the limit of memory, the nearest group first.
 */
export function memoryLimitFiles(cgroups: string): string[] {
  return cgroups.split("\n").flatMap((line) => {
    const [, id, controllers, path] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    if (id === undefined || path === undefined) return [];
    const isV2 = id === "0" && controllers === "";
    if (!isV2 && !controllers!.split(",").includes("memory")) return [];
    const root = isV2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const file = isV2 ? "memory.max" : "memory.limit_in_bytes";
    return parentsOf(path).map((each) => `${root}${each}${file}`);
  });
}

/** `/a/b` → `/a/b/`, `/a/`, `/`. */
function parentsOf(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "");
  return Array.from({ length: parts.length + 1 }, (_, i) => {
    const kept = parts.slice(0, parts.length - i);
    return kept.length === 0 ? "/" : `/${kept.join("/")}/`;
  });
}

/** More than any machine has: version 1 writes "no limit" so. */
const NO_LIMIT_BYTES = 2 ** 60;

/** @returns null: no limit. */
export function parseMemoryLimit(text: string): number | null {
  const bytes = Number(text.trim());
  return Number.isFinite(bytes) && text.trim() !== "" && bytes < NO_LIMIT_BYTES ? bytes : null;
}

/**
 * @param status /proc/PID/status. @returns what the process holds and nobody else can give back: not what is mapped from files.
 * null: the kernel does not tell (before 4.5).
 */
export function parseHeldBytes(status: string): number | null {
  const [, anonymous] = /^RssAnon:\s*(\d+) kB$/m.exec(status) ?? [];
  const [, shared] = /^RssShmem:\s*(\d+) kB$/m.exec(status) ?? [];
  if (anonymous === undefined || shared === undefined) return null;
  return (Number(anonymous) + Number(shared)) * 1024;
}

/** @param stat memory.stat of version 2. @returns what the kernel holds for the group's sockets; 0: it does not tell. */
export function parseSocketBytes(stat: string): number {
  return Number(/^sock (\d+)$/m.exec(stat)?.[1] ?? 0);
}
