// Checks over where clients and requests go: exactly one way for each listener and route, targets that fit the protocol, and
// TLS towards them. Called by relations.ts.

import { formatEndpoint } from "../shared/address.ts";
import { forwardsTo, isHttp2 } from "./http-targets.ts";
import { forwardsRequests } from "./presets.ts";
import type { Path, Report } from "./problems.ts";
import { checkRecovery } from "./recovery-relations.ts";
import { type RouteConfig, treatment } from "./schema-http.ts";
import type { Destination, TargetConfig } from "./schema-targets.ts";
import type { TargetTlsConfig } from "./schema-tls.ts";
import type { ProtocolConfig } from "./schema.ts";
import {
  addressOf,
  addressPath,
  formatTarget,
  type Target,
  type TargetScheme,
  type Written,
} from "./target.ts";

type Name = ProtocolConfig["name"];

const REQUEST_SCHEMES: readonly TargetScheme[] = ["http", "https", "h2", "h2c", "h3"];

/** The schemes that a protocol's targets may have besides none. */
const SCHEMES: Record<Name, readonly TargetScheme[]> = {
  tcp: ["quic"],
  tls: ["quic"],
  udp: [],
  http: REQUEST_SCHEMES,
  http2: REQUEST_SCHEMES,
  http3: REQUEST_SCHEMES,
  quic: ["quic"],
};

const OF_NAMES = ["sni", "alpn"] as const;
const OF_REQUESTS = [
  "match",
  "limits",
  "timeouts",
  ...(Object.keys(treatment) as (keyof typeof treatment)[]),
] as const;

export const TARGET_MISSING = 'is missing. Write target: "127.0.0.1:80"';

export function checkTargets(entry: ProtocolConfig, path: Path, report: Report): void {
  const { name, target, targets, redirect, routes } = entry;
  const own = target !== undefined || targets !== undefined;
  if (target && targets) {
    report([...path, "targets"], "stands beside target. Keep one of them", "key");
  } else if (own && redirect) {
    report(
      [...path, "redirect"],
      `stands beside ${target ? "target" : "targets"}. Keep one of them`,
      "key",
    );
  } else if (!own && !redirect && !routes) {
    report([...path, "target"], TARGET_MISSING);
  }
  checkTarget(target, name, [...path, "target"], report);
  checkTargetList(targets, name, [...path, "targets"], report);
  if (!own && routes) {
    for (const key of ["balance", "health", "circuit_breaker", "slow_start"] as const) {
      if (entry[key] === undefined) continue;
      const cure = "Write it into the routes: each has its own";
      report([...path, key], `has no effect without target or targets beside it. ${cure}`, "key");
    }
  }
  checkHealth(entry, name, path, report);
  if (own) checkRecovery(entry, name, path, report);
  checkTarget(entry.mirror?.target, name, [...path, "mirror", "target"], report);
  routes?.forEach((route, i) => checkRoute(route, name, [...path, "routes", i], report));
}

function checkRoute(route: RouteConfig, name: Name, path: Path, report: Report): void {
  const requests = forwardsRequests(name);
  for (const key of requests ? OF_NAMES : OF_REQUESTS) {
    if (route[key] === undefined) continue;
    report([...path, key], `has no effect on ${name}${routeCure(key, route)}`, "key");
  }
  const ways = [route.target, route.targets, route.redirect].filter((way) => way !== undefined);
  const choices = requests ? "one of target, targets and redirect" : "target or targets";
  if (ways.length !== 1) report(path, `needs ${choices}, and no more than one`);
  checkTarget(route.target, name, [...path, "target"], report);
  checkTargetList(route.targets, name, [...path, "targets"], report);
  checkHealth(route, name, path, report);
  checkRecovery(route, name, path, report);
}

function routeCure(key: keyof RouteConfig, { sni }: RouteConfig): string {
  if (key === "sni") return `. Write match: { host: ${sni} }`;
  if (key === "match") return ", which reads no requests. Write sni or alpn, or have name: http2";
  return "";
}

/** A probe of type http asks by HTTP/1.1. */
function checkHealth(where: Destination, name: Name, path: Path, report: Report): void {
  if (where.health !== undefined && where.health.type !== "http") {
    for (const key of ["path", "expect"] as const) {
      if (where.health[key] === undefined) continue;
      const message = "has no effect on a probe that only connects. Write type: http beside it";
      report([...path, "health", key], message, "key");
    }
  }
  const { path: page } = where.health ?? {};
  if (page !== undefined && !/^\/[\x21-\x7e]*$/.test(page)) {
    const cure = `Write ${encodeURI(page.startsWith("/") ? page : `/${page}`)}`;
    report([...path, "health", "path"], `"${page}" cannot be asked for. ${cure}`);
  }
  if (where.health?.type !== "http" || !forwardsRequests(name)) return;
  const all = where.target === undefined ? (where.targets ?? []) : [where.target];
  const other = all
    .map((written) => addressOf(written))
    .find((each) => isHttp2(forwardsTo(each).scheme));
  if (other === undefined) return;
  const message = `asks by HTTP/1.1, which ${formatTarget(other)} does not speak. Write type: tcp`;
  report([...path, "health", "type"], message);
}

function checkTargetList(
  targets: readonly TargetConfig[] | undefined,
  name: Name,
  path: Path,
  report: Report,
): void {
  targets?.forEach((item, i) => checkTarget(item, name, [...path, i], report));
  // One that stands twice would be one target with two names in statistics; its share is what weight is for.
  const written = (targets ?? []).map((item) => formatEndpoint(addressOf(item).endpoint));
  written.forEach((address, i) => {
    const first = written.indexOf(address);
    if (first === i) return;
    report([...path, i], `"${address}" stands there twice. Give one of them a weight`);
  });
  if (targets?.every((item) => "address" in item && item.backup === true)) {
    report(path, "every target is a backup. Leave backup out of one that is not");
  }
}

type WrittenWithTls = Written & { readonly tls?: TargetTlsConfig | undefined };

function checkTarget(
  written: WrittenWithTls | undefined,
  name: Name,
  at: Path,
  report: Report,
): void {
  if (written === undefined) return;
  const target = addressOf(written);
  const takes = SCHEMES[name].map((scheme) => `${scheme}://`).join(" ");
  if (target.scheme !== null && !SCHEMES[name].includes(target.scheme)) {
    const address = formatEndpoint(target.endpoint);
    const message =
      name !== "quic" && !forwardsRequests(name)
        ? `"${formatTarget(target)}" is a URL, and ${name} forwards to an address. ${addressCure(name, target, address)}`
        : `${name} has no targets with ${target.scheme}://. Write an address, or ${takes}`;
    return report(addressPath(written, at), message);
  }
  checkTargetTls(written.tls, target, name, at, report);
}

/** Who writes https:// there wants TLS, which `tls` speaks with a target that has settings. */
function addressCure(name: Name, { scheme }: Target, address: string): string {
  const secure = scheme === "https" || scheme === "h2";
  if (name !== "tls" || !secure) return `Write "${address}"`;
  return `Write { address: "${address}", tls: {} }`;
}

function checkTargetTls(
  tls: TargetTlsConfig | undefined,
  target: Target,
  name: Name,
  at: Path,
  report: Report,
): void {
  const requests = forwardsRequests(name);
  if (target.scheme === "quic") return tls && checkVerification(tls, [...at, "tls"], report);
  const { secure } = forwardsTo(target);
  const isUnix = target.endpoint.kind === "unix";
  if (requests && secure && isUnix && !tls?.server_name && tls?.insecure_skip_verify !== true) {
    const cure = 'Write it into tls: { server_name: "app.example.com" } beside address';
    report(at, `is a unix socket, which has no name to verify. ${cure}`);
  }
  if (tls === undefined) return;
  const path = [...at, "tls"];
  if (requests && !secure) {
    const address = formatEndpoint(target.endpoint);
    const secured = target.scheme === "h2c" ? "h2" : "https";
    const message = `has no effect on ${target.scheme ?? "http"}://, which is in clear`;
    return report(path, `${message}. Write address: "${secured}://${address}"`, "key");
  }
  if (!requests && name !== "tls" && name !== "quic") {
    return report(path, `has no effect on ${name}, which passes bytes on as they are`, "key");
  }
  if (!requests && isUnix && !tls.server_name && tls.insecure_skip_verify !== true) {
    const cure = "Write server_name: app.example.com";
    report(path, `needs a name to verify, which a unix socket has not. ${cure}`);
  }
  checkVerification(tls, path, report);
}

function checkVerification(tls: TargetTlsConfig, path: Path, report: Report): void {
  if (tls.insecure_skip_verify === true && tls.ca_file !== undefined) {
    const message = "has no effect beside insecure_skip_verify. Keep one of them";
    report([...path, "ca_file"], message, "key");
  }
  checkPair(tls, path, report);
}

/** A certificate and its key go together. */
export function checkPair(
  given: { readonly cert_file?: string | undefined; readonly key_file?: string | undefined },
  path: Path,
  report: Report,
): void {
  if ((given.cert_file === undefined) === (given.key_file === undefined)) return;
  const missing = given.cert_file === undefined ? "cert_file" : "key_file";
  report(path, `${missing} is missing: a certificate and its key go together`);
}
