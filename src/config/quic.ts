// Checks over QUIC: what a listener of raw streams cannot have, and what stands beside quic:// and h3:// targets. Called by
// relations.ts.

import { formatEndpoint } from "../shared/address.ts";
import { QUIC_DEFAULTS, QUIC_TARGET_DEFAULTS } from "../shared/limits.ts";
import type { Path, Report } from "./problems.ts";
import type { TargetQuicConfig } from "./schema-quic.ts";
import type { Destination, TargetConfig } from "./schema-targets.ts";
import type { ProtocolConfig } from "./schema.ts";
import { addressOf, addressPath, formatTarget, type TargetScheme } from "./target.ts";
import { formatDuration } from "./units.ts";

type Written = TargetConfig | NonNullable<Destination["target"]>;

/** Beside a quic:// target: what only the engines of raw TCP do, which speak no QUIC. */
const OF_ENGINES = ["routes", "mirror"] as const;

export function isQuic(written: Written): boolean {
  return addressOf(written).scheme === "quic";
}

function isOverUdp(scheme: TargetScheme | null): boolean {
  return scheme === "quic" || scheme === "h3";
}

/** Of the entry itself, without its routes. */
function targetsOf({ target, targets }: Destination): readonly Written[] {
  return target === undefined ? (targets ?? []) : [target];
}

/** Whether some client of a listener may be led to a quic:// target. */
export function hasQuicTarget(entry: ProtocolConfig): boolean {
  return [entry, ...(entry.routes ?? [])].some((each) => targetsOf(each).some(isQuic));
}

export function checkQuic(entry: ProtocolConfig, path: Path, report: Report): void {
  if (entry.name === "quic") checkListener(entry, path, report);
  checkDestination(entry, path, report);
  entry.routes?.forEach((route, i) => checkDestination(route, [...path, "routes", i], report));
  if (entry.name === "tcp" && hasQuicTarget(entry)) checkRelay(entry, path, report);
}

function checkListener({ listen, tls, quic }: ProtocolConfig, path: Path, report: Report): void {
  if (listen.kind === "unix") {
    const message = `"unix:${listen.path}" is a stream socket, and quic has none. Write host:port`;
    report([...path, "listen"], message);
  }
  if (tls?.min_version === "1.2") {
    const message = "has no effect on quic, which is TLS 1.3 always";
    report([...path, "tls", "min_version"], message, "key");
  }
  checkKeepAlive(quic, [...path, "quic"], report);
}

/** A PING that is due after the connection is gone. */
function checkKeepAlive(
  given: { readonly keep_alive?: number | undefined; readonly idle?: number | undefined } = {},
  path: Path,
  report: Report,
  fallback: { readonly keepAliveMs: number; readonly idleMs: number } = QUIC_DEFAULTS,
): void {
  const { keep_alive: keepAliveMs = fallback.keepAliveMs, idle: idleMs = fallback.idleMs } = given;
  if (keepAliveMs < idleMs) return;
  const key = given.keep_alive === undefined ? "idle" : "keep_alive";
  const message = `keep_alive (${formatDuration(keepAliveMs)}) must be less than idle (${formatDuration(idleMs)})`;
  report([...path, key], message);
}

function checkDestination(where: Destination, path: Path, report: Report): void {
  const { target, targets } = where;
  if (target !== undefined) checkTarget(target, [...path, "target"], report);
  targets?.forEach((item, i) => checkTarget(item, [...path, "targets", i], report));
  if (where.health === undefined) return;
  const udp = targetsOf(where)
    .map((written) => addressOf(written).scheme)
    .find(isOverUdp);
  if (udp === undefined) return;
  const why = `probes connect over TCP, and ${udp === "h3" ? "an h3" : "a quic"}:// target listens on UDP`;
  const cure = "Remove it: a target that cannot be reached is left out for a while all the same";
  report([...path, "health"], `is not for ${udp}:// targets: ${why}. ${cure}`, "key");
}

function checkTarget(written: Written, at: Path, report: Report): void {
  const target = addressOf(written);
  const { quic } = written as { readonly quic?: TargetQuicConfig };
  if (target.endpoint.kind === "unix" && isOverUdp(target.scheme)) {
    const message = `"${formatTarget(target)}" is a stream socket, and QUIC has none`;
    report(addressPath(written, at), `${message}. Write ${target.scheme}://host:port`);
  }
  if (target.scheme !== "quic") {
    if (quic === undefined) return;
    const address = formatEndpoint(target.endpoint);
    const message = `has no effect without QUIC. Write address: "quic://${address}"`;
    return report([...at, "quic"], message, "key");
  }
  checkKeepAlive(quic, [...at, "quic"], report, QUIC_TARGET_DEFAULTS);
}

function checkRelay(entry: ProtocolConfig, path: Path, report: Report): void {
  for (const key of OF_ENGINES) {
    if (entry[key] === undefined) continue;
    const message = "is not available in this version beside quic:// targets";
    report([...path, key], message, "key");
  }
}
