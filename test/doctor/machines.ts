// A machine on which everything is well, for tests to change.

import type { Finding } from "../../src/doctor/finding.ts";
import type { BoundSocket, Machine } from "../../src/doctor/machine.ts";

export const NOW_MS = Date.UTC(2026, 0, 15);
const GIB = 1024 ** 3;

export const SYSCTLS: readonly (readonly [string, string])[] = [
  ["fs.pipe-user-pages-soft", "16384"],
  ["net.core.rmem_max", "16777216"],
  ["net.core.somaxconn", "4096"],
  ["net.ipv4.ip_local_port_range", "32768\t60999"],
  ["net.ipv4.tcp_max_syn_backlog", "4096"],
  ["net.ipv4.tcp_tw_reuse", "2"],
  ["net.netfilter.nf_conntrack_count", "10"],
  ["net.netfilter.nf_conntrack_max", "1000"],
];

export function machine(changes: Partial<Machine> = {}): Machine {
  return {
    platform: "linux",
    sockets: [],
    mayBindLow: true,
    unprivilegedPort: 1_024,
    descriptors: 1_048_576,
    sysctls: new Map(SYSCTLS),
    hasIPv6: true,
    memory: { totalBytes: 64 * GIB, limitBytes: null },
    clock: { nowMs: NOW_MS, synchronised: true, builtMs: NOW_MS - 1 },
    engine: { name: "uring", reason: "" },
    units: ["/etc/systemd/system/proxy.service"],
    hasSystemd: true,
    ...changes,
  };
}

/** With some settings changed; undefined: it is not there. */
export function withSysctl(name: string, value: string | undefined): Machine {
  const sysctls = new Map(SYSCTLS);
  if (value === undefined) sysctls.delete(name);
  else sysctls.set(name, value);
  return machine({ sysctls });
}

export function bound(
  transport: BoundSocket["transport"],
  host: string,
  port: number,
  pid: number | null = 7,
  isProxy = false,
): BoundSocket {
  const holder = pid === null ? null : { pid, command: isProxy ? "proxy" : "nginx", isProxy };
  return { transport, host, port, holder };
}

/** Those that are not ok, in one line each. */
export function faults(findings: readonly Finding[]): string[] {
  return findings
    .filter(({ result }) => result !== "ok")
    .map(({ check, result, finding, cure }) => `${result} ${check}: ${finding}. ${cure}`);
}
