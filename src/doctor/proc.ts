// What Linux writes into /proc, as far as `doctor` reads it. Pure: texts in, values out. Called by read-machine.ts.

import { formatIp } from "../shared/ip.ts";
import type { Transport } from "../shared/transports.ts";

export interface SocketLine {
  readonly host: string;
  readonly port: number;
  readonly inode: string;
}

const TCP_LISTEN = "0A";
/** Of UDP: bound, and connected to nobody. */
const UDP_UNCONNECTED = "07";

/**
 * /proc/net/tcp, tcp6, udp and udp6 (proc_net(5)): sockets that wait for anybody.
 *
 *   sl  local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
 */
export function parseSockets(text: string, transport: Transport): SocketLine[] {
  const wanted = transport === "tcp" ? TCP_LISTEN : UDP_UNCONNECTED;
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      const [address = "", port = ""] = local.split(":");
      if (state !== wanted || !/^([0-9A-F]{8}|[0-9A-F]{32})$/.test(address)) return [];
      return [{ host: parseAddress(address), port: Number.parseInt(port, 16), inode }];
    });
}

/** Words of 32 bits, each in the machine's order: the least significant byte first wherever this runs. */
function parseAddress(hex: string): string {
  const words = hex.match(/.{8}/g)!.map((word) => Buffer.from(word, "hex").toReversed());
  const bytes = Buffer.concat(words);
  const mapped = bytes.length === 4 ? [Buffer.alloc(10), Buffer.from([255, 255]), bytes] : [bytes];
  return formatIp(new Uint8Array(Buffer.concat(mapped)));
}

const CAP_NET_BIND_SERVICE = 10n;

/** @param status /proc/PID/status. @returns whether it may bind low ports (capabilities(7)). */
export function mayBindLowPorts(status: string): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return ((BigInt(`0x${effective}`) >> CAP_NET_BIND_SERVICE) & 1n) === 1n;
}

/** @param limits /proc/PID/limits. @returns the hard limit of descriptors; null: there is none in it. */
export function parseDescriptorLimit(limits: string): number | null {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1];
  if (hard === undefined) return null;
  return hard === "unlimited" ? Infinity : Number(hard);
}

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
