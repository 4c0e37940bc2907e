// Limits and settings of the system, against what the plan needs of them. Pure. Called by checks.ts.

import { formatSize } from "../config/units.ts";
import { RELAY, UDP } from "../shared/limits.ts";
import type { ListenerPlan, Plan } from "../shared/plan.ts";
import { type Finding, Findings } from "./finding.ts";
import type { Machine } from "./machine.ts";

type Listeners = readonly ListenerPlan[];

/** The client's and the target's. */
const DESCRIPTORS_EACH = 2;
/** Enough for some 8,000 connections. */
const DESCRIPTORS_FEW = 16_384;

/** Of as many connections as it may have; a session of UDP has none towards its client. */
function descriptorsOf({ protocol, limits }: ListenerPlan): number {
  return limits.maxConnections * (protocol === "udp" ? 1 : DESCRIPTORS_EACH);
}

/** @param share from which on new work is turned away (overload.descriptors); 0: there is no such ceiling. */
export function checkDescriptors(
  listeners: Listeners,
  { descriptors }: Machine,
  share = 0,
): Finding[] {
  const found = new Findings("descriptors");
  if (descriptors === null) return found.all;
  const most = listeners.reduce((sum, listener) => sum + descriptorsOf(listener), 0);
  const needed = most + RELAY.descriptorReserve;
  const fitting = Math.floor((descriptors - RELAY.descriptorReserve) / DESCRIPTORS_EACH);
  const wanted = Math.max(needed, DESCRIPTORS_FEW);
  const cure = `Raise it: ulimit -Hn ${wanted}, or LimitNOFILE=${wanted} of the service`;
  if (most > 0 && needed > descriptors) {
    found.warning(
      `max_connections of all listeners needs ${needed} descriptors, and the limit is ${descriptors}`,
      cure,
    );
  } else if (share > 0 && most > descriptors * share) {
    found.warning(
      `max_connections of all listeners needs ${most} descriptors, and from ${Math.floor(descriptors * share)} on, of ` +
        `${descriptors}, new clients are turned away (overload.descriptors)`,
      `Raise the limit: LimitNOFILE=${Math.ceil(needed / share)} of the service, or write a higher percentage`,
    );
  } else if (descriptors < DESCRIPTORS_FEW) {
    found.warning(`the limit is ${descriptors}, enough for ${fitting} connections`, cure);
  } else {
    const shown = descriptors === Infinity ? "there is no limit" : `the limit is ${descriptors}`;
    found.ok(`${shown}${descriptors === Infinity ? "" : `, enough for ${fitting} connections`}`);
  }
  return found.all;
}

/** Pages of pipes of one user, 16 each; below it a pipe of splice(2) is a small one. */
const PIPE_PAGES = 16;
const PIPES_FEW = 256;

export function checkEngine({ engine, sysctls, platform }: Machine): Finding[] {
  const found = new Findings("engine");
  const { name, reason } = engine;
  if (name === null) found.problem(`no engine runs here: ${reason}`, "See the reason");
  else if (reason === "" || platform !== "linux") found.ok(`${name} runs`);
  else {
    found.warning(
      `${name} runs, and nothing faster: ${reason}`,
      "Nothing is wrong with it. io_uring needs Linux 6.1, sysctl kernel.io_uring_disabled=0, and no seccomp profile " +
        "that forbids it",
    );
  }
  const pages = Number(sysctls.get("fs.pipe-user-pages-soft") ?? Number.NaN);
  if (Number.isNaN(pages)) return found.all;
  const pipes = Math.floor(pages / PIPE_PAGES);
  if (pages !== 0 && pipes < PIPES_FEW) {
    found.warning(
      `fs.pipe-user-pages-soft is ${pages}: ${pipes} bulk transfers at once have pipes of full size`,
      "sysctl -w fs.pipe-user-pages-soft=16384, or 0 for no limit",
    );
  } else found.ok(`fs.pipe-user-pages-soft is ${pages}${pages === 0 ? ", no limit" : ""}`);
  return found.all;
}

const SYN_BACKLOG_FEW = 1_024;
const PORTS_FEW = 16_384;
/** From there on a table of connections that is full is near. */
const CONNTRACK_SHARE = 0.8;

export function checkKernel(listeners: Listeners, { sysctls }: Machine): Finding[] {
  const found = new Findings("kernel");
  const numberOf = (name: string): number => Number(sysctls.get(name) ?? Number.NaN);
  const atLeast = (name: string, least: number, why: string): void => {
    const value = numberOf(name);
    if (Number.isNaN(value)) return;
    if (value >= least) found.ok(`${name} is ${value}`);
    else found.warning(`${name} is ${value}: ${why}`, `sysctl -w ${name}=${least}`);
  };
  atLeast(
    "net.core.somaxconn",
    RELAY.listenBacklog,
    "connections of a burst are refused before they are accepted",
  );
  atLeast(
    "net.ipv4.tcp_max_syn_backlog",
    SYN_BACKLOG_FEW,
    "handshakes of a burst are dropped, or answered with cookies",
  );
  if (listeners.some(({ protocol }) => ["udp", "quic", "http3"].includes(protocol))) {
    const asked = listeners.map(({ socket }) => socket.receiveBufferBytes ?? 0);
    atLeast(
      "net.core.rmem_max",
      Math.max(UDP.receiveBufferBytes, ...asked),
      "the sockets of UDP and QUIC get less than they ask for, and lose datagrams in a burst",
    );
  }
  checkPortRange(found, sysctls.get("net.ipv4.ip_local_port_range"));
  if (numberOf("net.ipv4.tcp_tw_reuse") === 0) {
    found.warning(
      "net.ipv4.tcp_tw_reuse is 0: a port towards a target rests for a minute after each connection",
      "sysctl -w net.ipv4.tcp_tw_reuse=1",
    );
  }
  const most = numberOf("net.netfilter.nf_conntrack_max");
  const count = numberOf("net.netfilter.nf_conntrack_count");
  if (Number.isNaN(most) || Number.isNaN(count)) return found.all;
  if (count < most * CONNTRACK_SHARE) found.ok(`nf_conntrack has ${count} of ${most} entries`);
  else {
    found.warning(
      `nf_conntrack has ${count} of ${most} entries: beyond that, packets are dropped`,
      `sysctl -w net.netfilter.nf_conntrack_max=${most * 4}`,
    );
  }
  return found.all;
}

function checkPortRange(found: Findings, written: string | undefined): void {
  const [first, last] = (written ?? "").split(/\s+/).map(Number);
  if (first === undefined || last === undefined) return;
  const ports = last - first + 1;
  const shown = `net.ipv4.ip_local_port_range is ${first} to ${last}`;
  if (ports >= PORTS_FEW) found.ok(`${shown}: ${ports} connections at once to one address`);
  else {
    found.warning(
      `${shown}: only ${ports} connections at once to one address`,
      'sysctl -w net.ipv4.ip_local_port_range="1024 65535"',
    );
  }
}

/** Of the program with one worker, and of each further one, before there is a connection. */
const BASE_BYTES = 96 * 1024 ** 2;
const WORKER_BYTES = 32 * 1024 ** 2;

export function checkMemory(
  plan: Pick<Plan, "workers" | "ring" | "overload"> | null,
  { memory }: Machine,
): Finding[] {
  const found = new Findings("memory");
  const { totalBytes, limitBytes } = memory;
  const bytes = Math.min(totalBytes, limitBytes ?? Infinity);
  const whose =
    limitBytes !== null && limitBytes < totalBytes ? "the control group" : "the machine";
  const { workers, ring } = plan ?? { workers: 1, ring: { buffers: 0, bufferBytes: 0 } };
  const needed = BASE_BYTES + workers * (WORKER_BYTES + ring.buffers * ring.bufferBytes);
  const shown = `${whose} has ${formatSize(roundSize(bytes))}`;
  const ceiling = plan?.overload.memory ?? null;
  if (ceiling !== null && "bytes" in ceiling && ceiling.bytes > bytes) {
    found.warning(
      `${shown}, and new work is turned away at ${formatSize(ceiling.bytes)}, which will not be reached`,
      "Write less under overload.memory, or 90%",
    );
    return found.all;
  }
  if (bytes >= needed) found.ok(shown);
  else {
    found.warning(
      `${shown}, and ${workers} workers with full buffers may need ${formatSize(roundSize(needed))}`,
      "Give it more, or write fewer workers, or less memory for uring",
    );
  }
  return found.all;
}

/** To what reads well. */
const roundSize = (bytes: number): number => Math.round(bytes / 1024 ** 2) * 1024 ** 2;

/** Between machines that build and machines that run. */
const SKEW_MS = 86_400_000;

export function checkClock({ clock }: Machine): Finding[] {
  const found = new Findings("clock");
  const { nowMs, synchronised, builtMs } = clock;
  const shown = `${new Date(nowMs).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  const cure = "Let it be kept right: timedatectl set-ntp true";
  if (nowMs < builtMs - SKEW_MS) {
    found.problem(
      `it says ${shown}, before this program was made: no certificate will be valid`,
      cure,
    );
  } else if (synchronised === false) {
    found.warning(`it says ${shown}, and the kernel says that nobody keeps it right`, cure);
  } else found.ok(`it says ${shown}${synchronised === true ? ", and is synchronised" : ""}`);
  return found.all;
}

export function checkIPv6(listeners: Listeners, { hasIPv6 }: Machine): Finding[] {
  const found = new Findings("IPv6");
  if (hasIPv6) {
    found.ok("there is IPv6");
    return found.all;
  }
  const bound = listeners.filter(
    ({ listen }) => listen.kind === "tcp" && listen.host.includes(":"),
  );
  if (bound.length === 0) found.ok("there is no IPv6: listeners without a host serve IPv4 alone");
  else {
    found.problem(
      `there is no IPv6, which ${bound.map(({ key }) => key).join(", ")} needs`,
      "Switch it on (sysctl net.ipv6.conf.all.disable_ipv6=0), or listen on an IPv4 address",
    );
  }
  return found.all;
}

export function checkService({ units, hasSystemd }: Machine): Finding[] {
  const found = new Findings("service");
  if (!hasSystemd) found.ok("systemd does not run here");
  else if (units.length > 0) found.ok(`started by ${units.join(", ")}`);
  else {
    found.warning(
      "no unit of systemd starts the proxy: it is not there after the machine has started",
      "Install one: packaging/systemd/proxy.service, or a container that is started again",
    );
  }
  return found.all;
}
