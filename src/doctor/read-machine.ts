// Reads of the machine what checks look at: files of /proc, /sys and of systemd. What may not be read, or is not there, is told
// so in the reading. Called by `proxy doctor`.

import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";

import { readMemoryLimit } from "../control/overload/usage.ts";
import { isClockSynchronised } from "../ffi/kernel-clock.ts";
import type { BoundSocket, Holder, Machine } from "./machine.ts";
import { mayBindLowPorts, parseDescriptorLimit, parseSockets } from "./proc.ts";

/** Whether a process is one of this program: its executable and what it was started with. */
export type IsProxy = (executable: string, words: readonly string[]) => boolean;

const SYSCTLS = [
  "fs.pipe-user-pages-soft",
  "net.core.rmem_max",
  "net.core.somaxconn",
  "net.ipv4.ip_local_port_range",
  "net.ipv4.tcp_max_syn_backlog",
  "net.ipv4.tcp_tw_reuse",
  "net.netfilter.nf_conntrack_count",
  "net.netfilter.nf_conntrack_max",
];
const PORT_START = "net.ipv4.ip_unprivileged_port_start";
const FIRST_UNPRIVILEGED = 1_024;
const UNIT_FOLDERS = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

export function readMachine(engine: Machine["engine"], isProxy: IsProxy): Machine {
  const { platform } = process;
  const linux = platform === "linux";
  const status = linux ? read("/proc/self/status") : null;
  const limits = read("/proc/self/limits");
  const values = [...SYSCTLS, PORT_START].flatMap((name): [string, string][] => {
    const text = linux ? read(`/proc/sys/${name.replaceAll(".", "/")}`) : null;
    return text === null ? [] : [[name, text.trim()]];
  });
  const sysctls = new Map(values);
  return {
    platform,
    sockets: linux ? readSockets(isProxy) : null,
    mayBindLow: status === null ? platform !== "linux" : mayBindLowPorts(status),
    unprivilegedPort: Number(sysctls.get(PORT_START) ?? FIRST_UNPRIVILEGED),
    descriptors: limits === null ? null : parseDescriptorLimit(limits),
    sysctls,
    hasIPv6: !linux || (read("/proc/net/if_inet6") ?? "").trim() !== "",
    memory: { totalBytes: totalmem(), limitBytes: readMemoryLimit() },
    clock: {
      nowMs: Date.now(),
      synchronised: isClockSynchronised(),
      builtMs: statSync(process.execPath).mtimeMs,
    },
    engine,
    units: readUnits(),
    hasSystemd: existsSync("/run/systemd/system"),
  };
}

/** @returns null: it is not there, or may not be read. */
function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // gone, or somebody else's
  }
}

function readSockets(isProxy: IsProxy): BoundSocket[] {
  const lines = (["tcp", "udp"] as const).flatMap((transport) =>
    [transport, `${transport}6`].flatMap((name) => {
      const found = parseSockets(read(`/proc/net/${name}`) ?? "", transport);
      return found.map((line) => ({ ...line, transport }));
    }),
  );
  const holders = readHolders(new Set(lines.map(({ inode }) => inode)), isProxy);
  return lines.map(({ transport, host, port, inode }): BoundSocket => {
    return { transport, host, port, holder: holders.get(inode) ?? null };
  });
}

/** By the socket's inode: who has it open, as far as that may be seen. */
function readHolders(inodes: ReadonlySet<string>, isProxy: IsProxy): Map<string, Holder> {
  const holders = new Map<string, Holder>();
  for (const pid of list("/proc").filter((name) => /^\d+$/.test(name))) {
    const folder = join("/proc", pid);
    for (const fd of list(join(folder, "fd"))) {
      const inode = /^socket:\[(\d+)\]$/.exec(link(join(folder, "fd", fd)))?.[1];
      if (inode === undefined || !inodes.has(inode) || holders.has(inode)) continue;
      const words = (read(join(folder, "cmdline")) ?? "").split("\0").slice(0, -1);
      const command = (read(join(folder, "comm")) ?? "?").trim();
      const isOurs = isProxy(link(join(folder, "exe")).replace(/ \(deleted\)$/, ""), words);
      holders.set(inode, { pid: Number(pid), command, isProxy: isOurs });
    }
  }
  return holders;
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function readUnits(): string[] {
  return UNIT_FOLDERS.flatMap((folder) =>
    list(folder)
      .filter((name) => name.endsWith(".service"))
      .map((name) => join(folder, name))
      .filter((path) => startsProxy(read(path) ?? "")),
  );
}

/** `ExecStart=/usr/local/bin/proxy -config …`, or of this very executable. */
function startsProxy(unit: string): boolean {
  const command = /^ExecStart=[-@:+!]*(\S+)/m.exec(unit)?.[1];
  if (command === undefined) return false;
  return (
    command === process.execPath || (command.endsWith("/proxy") && unit.includes("bun-tunnel"))
  );
}
