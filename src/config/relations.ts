// Checks that span several values: targets that fit the protocol, listeners that collide, watermarks in order, keys that
// mean nothing where they stand. Runs after the grammar passed. Called by check.ts only.

import { isIP } from "node:net";

import { type Endpoint, formatEndpoint } from "../shared/address.ts";
import { watermarks } from "./presets.ts";
import type { Part, Path, Problem, Source } from "./problems.ts";
import type { Config, ProtocolConfig } from "./schema.ts";
import type { Target, TargetScheme } from "./target.ts";
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

/** Of one entry alone: for those that passed the grammar in a configuration that did not. */
export function entryProblems(entry: ProtocolConfig, index: number, source: Source): Problem[] {
  const { problems, report } = reporter(source);
  checkEntry(entry, ["protocols", index], report);
  return problems;
}

function reporter(source: Source): { problems: Problem[]; report: Report } {
  const problems: Problem[] = [];
  const report: Report = (path, message, part = "value") => {
    problems.push({ place: source.place(path, part), message });
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
  config.protocols.forEach((entry, i) => checkEntry(entry, ["protocols", i], report));
  checkCollisions(config.protocols, report);
  if ((config.tls?.cert_file === undefined) !== (config.tls?.key_file === undefined)) {
    const missing = config.tls?.cert_file === undefined ? "cert_file" : "key_file";
    report(["tls"], `${missing} is missing: a certificate and its key go together`);
  }
  return problems;
}

type Report = (path: Path, message: string, part?: Part) => void;

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
  if (entry.timeouts?.client_hello !== undefined && ["http", "udp"].includes(entry.name)) {
    report(
      [...path, "timeouts", "client_hello"],
      `has no effect on ${entry.name}, which has no TLS`,
      "key",
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
    report([...path, "target"], 'is missing. Write target: "127.0.0.1:80"');
  }
  checkScheme(target, name, [...path, "target"], report);
  checkTargetList(targets, name, [...path, "targets"], report);
  checkScheme(entry.mirror?.target, name, [...path, "mirror", "target"], report);
  routes?.forEach((route, i) => {
    const at = [...path, "routes", i];
    const requests = SCHEMES[name].length > 1;
    const foreign = requests ? "sni" : "match";
    if (route[foreign] !== undefined) report([...at, foreign], `has no effect on ${name}`, "key");
    for (const key of ["headers", "retries", "redirect"] as const) {
      if (!requests && route[key] !== undefined)
        report([...at, key], `has no effect on ${name}`, "key");
    }
    const ways = [route.target, route.targets, route.redirect].filter((way) => way !== undefined);
    if (ways.length !== 1) report(at, "needs one of target, targets and redirect");
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

function checkCollisions(entries: readonly ProtocolConfig[], report: Report): void {
  entries.forEach((entry, i) => {
    if (entry.enabled === false) return;
    const other = entries.findIndex(
      (earlier, j) =>
        j < i &&
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
