// Checks that span several values: keys that mean nothing where they stand, watermarks in order, and by the files that it
// calls, targets, routes and addresses. Runs after the grammar passed. Called by check.ts only.

import { BOUNDS } from "../shared/limits.ts";
import { checkCollisions, checkLoops } from "./addresses.ts";
import { checkAdmin } from "./admin.ts";
import { checkAutoTls } from "./auto-tls-relations.ts";
import { checkEntrance } from "./entrance.ts";
import { checkRequests } from "./http-relations.ts";
import { checkHttp3 } from "./http3.ts";
import { checkKeyHomes } from "./key-homes.ts";
import { nearest } from "./nearest.ts";
import { forwardsRequests, ringMemory, watermarks } from "./presets.ts";
import type { Path, Problem, Report, Source } from "./problems.ts";
import { checkQuic } from "./quic.ts";
import type { Config, ProtocolConfig } from "./schema.ts";
import { checkTargets, TARGET_MISSING } from "./target-relations.ts";
import { checkTls } from "./tls-relations.ts";
import { checkUdp } from "./udp.ts";
import { formatSize } from "./units.ts";

type Entries = readonly (ProtocolConfig | undefined)[];

/** Of the entries that passed the grammar, in a configuration that did not; the others are undefined. */
export function relationsOfEntries(entries: Entries, source: Source): Problem[] {
  const { problems, report } = reporter(source);
  checkEntries(entries, report);
  return problems;
}

const WAYS: readonly string[] = ["target", "targets", "routes", "redirect"];

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
  checkTls(config, report);
  checkAutoTls(config, report);
  checkAccessLog(config, report);
  checkAdmin(config, report);
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

/** Only requests are logged so. */
function checkAccessLog(config: Config, report: Report): void {
  const { access_log: path = "off", access_log_format: format, protocols } = config;
  if (path === "off") {
    if (format === undefined) return;
    const message = 'has no effect without access_log. Write access_log: "-"';
    return report(["access_log_format"], message, "key");
  }
  if (protocols.some(({ name }) => forwardsRequests(name))) return;
  const message = "has no effect: no listener forwards requests. It is for http, http2, http3";
  report(["access_log"], message, "key");
}

function checkEntries(entries: Entries, report: Report): void {
  entries.forEach((entry, i) => {
    if (entry === undefined) return;
    checkEntry(entry, ["protocols", i], report);
    if (entry.name === "http3") checkHttp3(entry, entries, ["protocols", i], report);
  });
  checkCollisions(entries, report);
  checkLoops(entries, report);
}

function checkEntry(entry: ProtocolConfig, path: Path, report: Report): void {
  checkKeyHomes(entry, path, report);
  checkTargets(entry, path, report);
  checkQuic(entry, path, report);
  if (entry.name === "udp") checkUdp(entry, path, report);
  if (forwardsRequests(entry.name)) checkRequests(entry, path, report);
  checkEntrance(entry, path, report);
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
