// Checks that span several values: targets that fit the protocol, listeners that collide or loop, watermarks in order, keys that
// mean nothing where they stand. Runs after the grammar passed. Called by check.ts only.

import { isIP } from "node:net";

import { type Endpoint, formatEndpoint } from "../shared/address.ts";
import { BOUNDS } from "../shared/limits.ts";
import { checkEntrance } from "./entrance.ts";
import { nearest } from "./nearest.ts";
import { ringMemory, watermarks } from "./presets.ts";
import type { Path, Problem, Report, Source } from "./problems.ts";
import type { Config, ProtocolConfig } from "./schema.ts";
import type { Target, TargetScheme } from "./target.ts";
import { checkUdp } from "./udp.ts";
import { formatSize } from "./units.ts";

type Name = ProtocolConfig["name"];

const REQUEST_SCHEMES: readonly TargetScheme[] = ["http", "https", "h2", "h2c", "h3"];

/** The schemes that a protocol's targets may have besides none. */
const SCHEMES: Record<Name, readonly TargetScheme[]> = {
  tcp: [],
  tls: [],
  udp: [],
  http: REQUEST_SCHEMES,
  http2: REQUEST_SCHEMES,
  http3: REQUEST_SCHEMES,
  quic: ["quic"],
};

/** Keys that mean nothing to other protocols. */
const MEANS_SOMETHING_TO: Partial<Record<keyof ProtocolConfig, readonly Name[]>> = {
  alpn: ["tls", "quic"],
  mirror: ["tcp"],
  backpressure: ["tcp", "tls", "http", "http2", "http3", "quic"],
  proxy_protocol: ["tcp", "tls", "http", "http2"],
  routes: ["tcp", "tls", "http", "http2", "http3"],
};

/** Of the entries that passed the grammar, in a configuration that did not; the others are undefined. */
export function relationsOfEntries(entries: Entries, source: Source): Problem[] {
  const { problems, report } = reporter(source);
  checkEntries(entries, report);
  return problems;
}

const WAYS: readonly string[] = ["target", "targets", "routes"];

/** Of the entries that did not pass, as plain data: a target may be missing besides. A misspelled one is told of already. */
export function missingTargets(entries: readonly unknown[], source: Source): Problem[] {
  const { problems, report } = reporter(source);
  entries.forEach((entry, i) => {
    if (typeof entry !== "object" || entry === null || Array.isArray(entry)) return;
    const hasOne = Object.keys(entry).some((key) => nearest(key, WAYS) !== undefined);
    if (!hasOne) report(["protocols", i, "target"], TARGET_MISSING);
  });
  return problems;
}

const TARGET_MISSING = 'is missing. Write target: "127.0.0.1:80"';

function reporter(source: Source): { problems: Problem[]; report: Report } {
  const problems: Problem[] = [];
  const report: Report = (path, message, part = "value") => {
    problems.push({ place: source.place(path, part), message, path });
  };
  return { problems, report };
}

export function relationProblems(config: Config, source: Source): Problem[] {
  const { problems, report } = reporter(source);
  if (config.protocols.length === 0)
    report(["protocols"], "is empty, so there is nothing to forward. Add a listener");
  else if (config.protocols.every((entry) => entry.enabled === false)) {
    report(["protocols"], "every listener is disabled, so there is nothing to forward. Enable one");
  }
  checkEntries(config.protocols, report);
  checkRing(config, report);
  if ((config.tls?.cert_file === undefined) !== (config.tls?.key_file === undefined)) {
    const missing = config.tls?.cert_file === undefined ? "cert_file" : "key_file";
    report(["tls"], `${missing} is missing: a certificate and its key go together`);
  }
  return problems;
}

function checkRing({ uring, engine = "auto" }: Config, report: Report): void {
  if (uring === undefined) return;
  if (engine !== "auto" && engine !== "uring") {
    report(["uring"], `has no effect with engine: ${engine}`, "key");
  }
  const { bufferBytes, memoryBytes } = ringMemory(uring);
  if (memoryBytes >= bufferBytes * BOUNDS.ringBuffersMin) return;
  const few = `${formatSize(memoryBytes)} of memory must hold ${BOUNDS.ringBuffersMin} buffers`;
  const least = formatSize(bufferBytes * BOUNDS.ringBuffersMin);
  const key = uring.buffer_memory === undefined ? "buffer_size" : "buffer_memory";
  report(["uring", key], `${few} of ${formatSize(bufferBytes)}: ${least} at least`);
}

function checkEntries(entries: Entries, report: Report): void {
  entries.forEach((entry, i) => {
    if (entry !== undefined) checkEntry(entry, ["protocols", i], report);
  });
  checkCollisions(entries, report);
  checkLoops(entries, report);
}

function checkEntry(entry: ProtocolConfig, path: Path, report: Report): void {
  for (const [key, names] of Object.entries(MEANS_SOMETHING_TO)) {
    if (entry[key as keyof ProtocolConfig] !== undefined && !names.includes(entry.name)) {
      report(
        [...path, key],
        `has no effect on ${entry.name}. It is for ${names.join(", ")}`,
        "key",
      );
    }
  }
  checkTargets(entry, path, report);
  if (entry.name === "udp") checkUdp(entry, path, report);
  else if (entry.limits?.max_sessions !== undefined) {
    const cure = "Write max_connections";
    report([...path, "limits", "max_sessions"], `has no effect on ${entry.name}. ${cure}`, "key");
  }
  checkEntrance(entry, path, report);
  if (entry.timeouts?.client_hello !== undefined && ["http", "udp"].includes(entry.name)) {
    report(
      [...path, "timeouts", "client_hello"],
      `has no effect on ${entry.name}, which has no TLS`,
      "key",
    );
  }
  const { bandwidth, connection_bandwidth: each } = entry.limits ?? {};
  if (bandwidth !== undefined && each !== undefined && each >= bandwidth) {
    report(
      [...path, "limits", "connection_bandwidth"],
      `has no effect: bandwidth, for all connections together, is ${formatSize(bandwidth)}/s`,
    );
  }
  const keepalive = entry.socket?.keepalive;
  if (keepalive !== undefined && keepalive % 1_000 !== 0) {
    report(
      [...path, "socket", "keepalive"],
      "is not a whole number of seconds, which is what the system counts",
    );
  }
  const { highWatermarkBytes: high, lowWatermarkBytes: low } = watermarks(entry);
  if (low >= high) {
    const key =
      entry.backpressure?.low_watermark === undefined ? "high_watermark" : "low_watermark";
    report(
      [...path, "backpressure", key],
      `low_watermark (${formatSize(low)}) must be less than high_watermark (${formatSize(high)})`,
    );
  }
}

function checkTargets(entry: ProtocolConfig, path: Path, report: Report): void {
  const { name, target, targets, routes } = entry;
  if (target && targets) {
    report([...path, "targets"], "stands beside target. Keep one of them", "key");
  } else if (!target && !targets && !routes) {
    report([...path, "target"], TARGET_MISSING);
  }
  checkScheme(target, name, [...path, "target"], report);
  checkTargetList(targets, name, [...path, "targets"], report);
  if (routes && !target && !targets) {
    for (const key of ["balance", "health"] as const) {
      if (entry[key] === undefined) continue;
      const cure = "Write it into the routes: each has its own";
      report([...path, key], `has no effect without target or targets beside it. ${cure}`, "key");
    }
  }
  checkScheme(entry.mirror?.target, name, [...path, "mirror", "target"], report);
  routes?.forEach((route, i) => {
    const at = [...path, "routes", i];
    const requests = SCHEMES[name].length > 1;
    const foreign = requests
      ? (["sni", "alpn"] as const)
      : (["match", "headers", "retries", "redirect"] as const);
    for (const key of foreign) {
      if (route[key] !== undefined) report([...at, key], `has no effect on ${name}`, "key");
    }
    const ways = [route.target, route.targets, route.redirect].filter((way) => way !== undefined);
    const choices = requests ? "one of target, targets and redirect" : "target or targets";
    if (ways.length !== 1) report(at, `needs ${choices}, and no more than one`);
    checkScheme(route.target, name, [...at, "target"], report);
    checkTargetList(route.targets, name, [...at, "targets"], report);
  });
}

function checkTargetList(
  targets: ProtocolConfig["targets"],
  name: Name,
  path: Path,
  report: Report,
): void {
  targets?.forEach((item, i) => {
    if ("address" in item) checkScheme(item.address, name, [...path, i, "address"], report);
    else checkScheme(item, name, [...path, i], report);
  });
  // One that stands twice would be one target with two names in statistics; its share is what weight is for.
  const written = (targets ?? []).map((item) =>
    formatEndpoint("address" in item ? item.address.endpoint : item.endpoint),
  );
  written.forEach((address, i) => {
    const first = written.indexOf(address);
    if (first === i) return;
    report([...path, i], `"${address}" stands there twice. Give one of them a weight`);
  });
  if (targets?.every((item) => "address" in item && item.backup === true)) {
    report(path, "every target is a backup. Leave backup out of one that is not");
  }
}

function checkScheme(target: Target | undefined, name: Name, path: Path, report: Report): void {
  if (!target || target.scheme === null || SCHEMES[name].includes(target.scheme)) return;
  const takes = SCHEMES[name].map((scheme) => `${scheme}://`).join(" ");
  const written = `${target.scheme}://${formatEndpoint(target.endpoint)}`;
  report(
    path,
    takes === ""
      ? `"${written}" is a URL, and ${name} forwards to an address. Write "${formatEndpoint(target.endpoint)}"`
      : `${name} has no targets with ${target.scheme}://. Write an address, or ${takes}`,
  );
}

type Entries = readonly (ProtocolConfig | undefined)[];

function checkCollisions(entries: Entries, report: Report): void {
  entries.forEach((entry, i) => {
    if (entry === undefined || entry.enabled === false) return;
    const other = entries.findIndex(
      (earlier, j) =>
        j < i &&
        earlier !== undefined &&
        earlier.enabled !== false &&
        transportOf(earlier.name) === transportOf(entry.name) &&
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

/** A target that is one of our listeners: one client would open connections until none is left. */
function checkLoops(entries: Entries, report: Report): void {
  entries.forEach((entry, i) => {
    if (entry === undefined || entry.enabled === false) return;
    for (const [path, target] of targetsOf(entry, ["protocols", i])) {
      const other = entries.findIndex(
        (candidate) =>
          candidate !== undefined &&
          candidate.enabled !== false &&
          transportOf(candidate.name) === transportOf(entry.name) &&
          reaches(target, candidate.listen),
      );
      if (other < 0) continue;
      const where = formatEndpoint(entries[other]!.listen);
      const whose = other === i ? "this listener itself" : `protocols[${other}] of this proxy`;
      const cure = "Write the address of another program";
      report(path, `is ${whose}, which listens on ${where}. ${cure}`);
    }
  });
}

/** Wherever clients or copies of what they send may go, those of routes included. */
function targetsOf(
  entry: Pick<ProtocolConfig, "target" | "targets" | "routes" | "mirror">,
  path: Path,
): [Path, Endpoint][] {
  const { target, targets = [], routes = [], mirror } = entry;
  const copy = mirror?.target.endpoint;
  return [
    ...(target === undefined ? [] : [[[...path, "target"], target.endpoint] as [Path, Endpoint]]),
    ...targets.map((item, i): [Path, Endpoint] =>
      "address" in item
        ? [[...path, "targets", i, "address"], item.address.endpoint]
        : [[...path, "targets", i], item.endpoint],
    ),
    ...(copy === undefined ? [] : [[[...path, "mirror", "target"], copy] as [Path, Endpoint]]),
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
function isLoopback(host: string): boolean {
  return isLocalhost(host) || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** http3's second listener, over TCP, is opened where the port is free. */
function transportOf(name: Name): "tcp" | "udp" {
  return name === "udp" || name === "quic" || name === "http3" ? "udp" : "tcp";
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
