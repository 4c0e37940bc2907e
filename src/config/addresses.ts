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
    const other = near(entry.listen, entries).find(
      (j) =>
        j < i &&
        transportsOf(entries[j]!, entries).some((transport) => own.includes(transport)) &&
        collide(entries[j]!.listen, entry.listen),
    );
    if (other !== undefined) {
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
  const found = near(address, entries).find(
    (i) =>
      transportsOf(entries[i]!, entries).includes("tcp") && collide(entries[i]!.listen, address),
  );
  return found ?? -1;
}

/** Which listeners of `entries` may have to do with an address: those at its port or path, in their order. */
function near(address: Endpoint, entries: Entries): readonly number[] {
  let byPlace = PLACES.get(entries);
  if (byPlace === undefined) {
    byPlace = Map.groupBy(
      entries.flatMap((entry, i) => (entry === undefined || entry.enabled === false ? [] : [i])),
      (i) => placeOf(entries[i]!.listen),
    );
    PLACES.set(entries, byPlace);
  }
  return byPlace.get(placeOf(address)) ?? [];
}

/** So that few are compared where a configuration has ten thousand. */
const PLACES = new WeakMap<Entries, ReadonlyMap<string | number, readonly number[]>>();

const placeOf = (address: Endpoint): string | number =>
  address.kind === "unix" ? address.path : address.port;

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
    const to = near(endpoint, entries).find(
      (j) =>
        transportsOf(entries[j]!, entries).includes(towards) &&
        reaches(endpoint, entries[j]!.listen),
    );
    return to === undefined ? [] : [{ path, to }];
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
  return !near(entry.listen, entries).some((i) => {
    const other = entries[i]!;
    return other !== entry && !OVER_UDP.includes(other.name) && collide(other.listen, entry.listen);
  });
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
