// Which listener a connection or a datagram comes to, by its address alone, as the kernel decides it: the port, the address and
// what it comes over. A name is supposed to lead to this machine, since nobody is asked. Pure. Called by explain.ts.

import { isIP } from "node:net";

import { formatEndpoint } from "../shared/address.ts";
import { formatIp, parseIp } from "../shared/ip.ts";
import type { ListenerPlan } from "../shared/plan.ts";
import { transportsOf } from "../shared/transports.ts";
import { type Question, transportOf } from "./question.ts";

export type Standing =
  /** @param supposed what had to be; null: nothing. The lower `rank` is the likelier. */
  | { readonly type: "here"; readonly rank: number; readonly supposed: string | null }
  | { readonly type: "elsewhere"; readonly reason: string; readonly distance: number };

const FAR = 8;
const PORT = 4;
const TRANSPORT = 2;
const HOST = 1;

export function standingOf(plan: ListenerPlan, question: Question): Standing {
  const { listen } = plan;
  if (listen.kind === "unix") {
    const reason = `it listens on a unix socket, ${formatEndpoint(listen)}`;
    return { type: "elsewhere", reason, distance: FAR };
  }
  const transport = transportOf(question);
  const reasons: string[] = [];
  let distance = 0;
  if (listen.port !== question.port) {
    reasons.push(
      listen.port === 0
        ? "its port is chosen by the system when it starts"
        : `its port is ${listen.port}, not ${question.port}`,
    );
    distance += PORT;
  }
  const transports = transportsOf(plan);
  if (!transports.includes(transport)) {
    reasons.push(
      transport === "tcp"
        ? "it is served over UDP alone, and this comes over TCP"
        : "it is served over TCP, and this comes over UDP",
    );
    distance += TRANSPORT;
  }
  const at = hostStanding(listen.host, question);
  if (typeof at === "string") {
    reasons.push(at);
    distance += HOST;
  } else if (reasons.length === 0) return { type: "here", ...at };
  return { type: "elsewhere", reason: reasons.join("; "), distance };
}

interface Host {
  readonly rank: number;
  readonly supposed: string | null;
}

/** @returns why it is not the listener's, or how sure that it is. */
function hostStanding(bound: string, { host, address }: Question): Host | string {
  const asked = address ?? host;
  const shown = bound === "" ? "every address" : bound;
  if (isIP(asked) !== 0) return ipStanding(bound, asked);
  if (isLocalhost(asked)) {
    if (isLocalhost(bound)) return { rank: 0, supposed: null };
    const at = ["127.0.0.1", "::1"].map((ip) => ipStanding(bound, ip));
    return at.find((each) => typeof each !== "string") ?? `it listens on ${shown} alone`;
  }
  if (bound.toLowerCase() === asked) return { rank: 0, supposed: null };
  const leads = `${asked} is supposed to lead to `;
  if (isWildcard(bound)) return { rank: 1, supposed: `${leads}this machine` };
  return { rank: isLoopback(bound) ? 3 : 2, supposed: `${leads}${bound} (-address says another)` };
}

function ipStanding(bound: string, asked: string): Host | string {
  const ip = formatIp(parseIp(asked)!);
  const is4 = isIP(ip) === 4;
  if (bound === "" || bound === "::") return { rank: 1, supposed: null };
  if (bound === "0.0.0.0") {
    return is4
      ? { rank: 1, supposed: null }
      : "it listens on every address of IPv4, and none of IPv6";
  }
  if (isIP(bound) !== 0) {
    return formatIp(parseIp(bound)!) === ip
      ? { rank: 0, supposed: null }
      : `it listens on ${bound} alone`;
  }
  if (isLocalhost(bound)) {
    return isLoopback(ip) ? { rank: 0, supposed: null } : `it listens on ${bound} alone`;
  }
  return { rank: 2, supposed: `${bound} is supposed to have the address ${ip}` };
}

const isWildcard = (host: string): boolean => ["", "::", "0.0.0.0"].includes(host);
const isLocalhost = (host: string): boolean => /^localhost\.?$/i.test(host);

function isLoopback(host: string): boolean {
  return isLocalhost(host) || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
