// Checks over addresses of several listeners: two that the system would not bind both, and targets that lead back to the
// listener that they are of. Called by relations.ts.

import { isIP } from "node:net";

import { type Endpoint, formatEndpoint } from "../shared/address.ts";
import type { Path, Report } from "./problems.ts";
import type { ProtocolConfig } from "./schema.ts";
import { addressOf, addressPath, type Target, type Written } from "./target.ts";

type Name = ProtocolConfig["name"];
type Entries = readonly (ProtocolConfig | undefined)[];
type Transport = "tcp" | "udp";

const OVER_UDP: readonly Name[] = ["udp", "quic", "http3"];

export function checkCollisions(entries: Entries, report: Report): void {
  entries.forEach((entry, i) => {
    if (entry === undefined || entry.enabled === false) return;
    const own = transportsOf(entry, entries);
    const other = entries.findIndex(
      (earlier, j) =>
        j < i &&
        earlier !== undefined &&
        earlier.enabled !== false &&
        transportsOf(earlier, entries).some((transport) => own.includes(transport)) &&
        collide(earlier.listen, entry.listen),
    );
    if (other >= 0) {
      const address = formatEndpoint(entries[other]!.listen);
      report(
        ["protocols", i, "listen"],
        `is taken by protocols[${other}], which listens on ${address}`,
      );
    }
  });
}

/** The listener that has this address over TCP already; -1: none. */
export function listenerAt(address: Endpoint, entries: Entries): number {
  return entries.findIndex(
    (entry) =>
      entry !== undefined &&
      entry.enabled !== false &&
      transportsOf(entry, entries).includes("tcp") &&
      collide(entry.listen, address),
  );
}

/** A target that is one of our listeners: `to` is its place. */
interface Link {
  readonly path: Path;
  readonly to: number;
}

/**
 * A target that leads back to its own listener, be it by others: one client would open connections until none is left. A way
 * through several listeners that ends is fine, as from one that routes by TLS name to one that speaks TLS.
 */
export function checkLoops(entries: Entries, report: Report): void {
  const links = entries.map((entry, i) => linksOf(entry, i, entries));
  links.forEach((own, i) => {
    for (const { path, to } of own) {
      if (!leadsTo(to, i, links, new Set())) continue;
      const where = `which listens on ${formatEndpoint(entries[to]!.listen)}`;
      const what =
        to === i
          ? `this listener itself, ${where}`
          : `protocols[${to}] of this proxy, ${where} and leads back here`;
      report(path, `is ${what}. Write the address of another program`);
    }
  });
}

function linksOf(entry: Entries[number], i: number, entries: Entries): Link[] {
  if (entry === undefined || entry.enabled === false) return [];
  return targetsOf(entry, ["protocols", i]).flatMap(([path, { scheme, endpoint }]) => {
    const towards = transportTowards(entry.name, scheme);
    const to = entries.findIndex(
      (candidate) =>
        candidate !== undefined &&
        candidate.enabled !== false &&
        transportsOf(candidate, entries).includes(towards) &&
        reaches(endpoint, candidate.listen),
    );
    return to < 0 ? [] : [{ path, to }];
  });
}

/** @param seen listeners whose links were followed. */
function leadsTo(from: number, to: number, links: readonly Link[][], seen: Set<number>): boolean {
  if (from === to) return true;
  if (seen.has(from)) return false;
  seen.add(from);
  return links[from]!.some((link) => leadsTo(link.to, to, links, seen));
}

/** Wherever clients or copies of what they send may go, those of routes included. */
function targetsOf(
  entry: Pick<ProtocolConfig, "target" | "targets" | "routes" | "mirror">,
  path: Path,
): [Path, Target][] {
  const { target, targets = [], routes = [], mirror } = entry;
  const at = (written: Written | undefined, ...steps: Path): [Path, Target][] => {
    if (written === undefined) return [];
    return [[addressPath(written, [...path, ...steps]), addressOf(written)]];
  };
  return [
    ...at(target, "target"),
    ...targets.flatMap((item, i) => at(item, "targets", i)),
    ...at(mirror?.target, "mirror", "target"),
    ...routes.flatMap((route, i) => targetsOf({ ...route, routes: [] }, [...path, "routes", i])),
  ];
}

/** As far as the text tells: whether connecting to `target` arrives at `listen`. */
function reaches(target: Endpoint, listen: Endpoint): boolean {
  if (target.kind === "unix" || listen.kind === "unix") return collide(target, listen);
  if (target.port !== listen.port || listen.port === 0) return false;
  if (target.host.toLowerCase() === listen.host.toLowerCase()) return true;
  // A wildcard takes what comes to this machine, and of loopback we know that it does.
  const here = isLoopback(target.host) || isWildcard(target.host);
  if (isWildcard(listen.host)) return here && covers(listen.host, target.host);
  // To connect to a wildcard is to connect to loopback.
  if (isLocalhost(target.host) || isWildcard(target.host)) return isLoopback(listen.host);
  return isLocalhost(listen.host) && here;
}

const isWildcard = (host: string): boolean => ["", "::", "0.0.0.0"].includes(host);
/** The name that means loopback (RFC 6761 section 6.3). */
const isLocalhost = (host: string): boolean => /^localhost\.?$/i.test(host);

/** 127.0.0.0/8 and ::1 (RFC 6890), and their name. */
export function isLoopback(host: string): boolean {
  return isLocalhost(host) || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** What a listener binds: http3 both, unless the other side is somebody else's. */
function transportsOf(entry: ProtocolConfig, entries: Entries): readonly Transport[] {
  if (!OVER_UDP.includes(entry.name)) return ["tcp"];
  return entry.name === "http3" && servesTcp(entry, entries) ? ["udp", "tcp"] : ["udp"];
}

function transportTowards(name: Name, scheme: Target["scheme"]): Transport {
  if (scheme === "h3" || scheme === "quic") return "udp";
  return name === "udp" ? "udp" : "tcp";
}

/**
 * Whether an http3 listener opens its port over TCP too. Where nothing is written of it, it leaves a port to the listener that
 * has it.
 */
export function servesTcp(entry: ProtocolConfig, entries: Entries): boolean {
  if (entry.tcp !== undefined) return entry.tcp;
  return !entries.some(
    (other) =>
      other !== undefined &&
      other !== entry &&
      other.enabled !== false &&
      !OVER_UDP.includes(other.name) &&
      collide(other.listen, entry.listen),
  );
}

/** Whether the system would refuse to bind both. Port 0 is a port of its own each time. */
function collide(a: Endpoint, b: Endpoint): boolean {
  if (a.kind === "unix" || b.kind === "unix") {
    return a.kind === "unix" && b.kind === "unix" && a.path === b.path;
  }
  if (a.port !== b.port || a.port === 0) return false;
  return (
    a.host.toLowerCase() === b.host.toLowerCase() ||
    covers(a.host, b.host) ||
    covers(b.host, a.host)
  );
}

function covers(wildcard: string, host: string): boolean {
  if (wildcard === "" || wildcard === "::") return true;
  return wildcard === "0.0.0.0" && isIP(host) !== 6;
}
