// Checks over circuit_breaker and slow_start: what has no effect where it stands. Called by target-relations.ts.

import { isIP } from "node:net";

import { BREAKER_DEFAULTS } from "../shared/recovery-limits.ts";
import { forwardsRequests } from "./presets.ts";
import type { Path, Report } from "./problems.ts";
import type { Destination } from "./schema-targets.ts";
import type { ProtocolConfig } from "./schema.ts";
import { addressOf } from "./target.ts";
import { formatDuration } from "./units.ts";

export function checkRecovery(
  where: Destination,
  name: ProtocolConfig["name"],
  path: Path,
  report: Report,
): void {
  checkBreaker(where, name, [...path, "circuit_breaker"], report);
  checkSlowStart(where, [...path, "slow_start"], report);
}

function checkBreaker(
  { circuit_breaker: given }: Destination,
  name: ProtocolConfig["name"],
  path: Path,
  report: Report,
): void {
  if (given === undefined) return;
  const { failures, error_rate: rate, open = BREAKER_DEFAULTS.openMs, max_open: most } = given;
  if (failures === 0 && rate === 0) {
    report([...path, "failures"], "leaves nothing that opens it beside error_rate: 0. Write one");
  }
  for (const key of ["minimum", "window"] as const) {
    if (rate !== 0 || given[key] === undefined) continue;
    report([...path, key], "has no effect with error_rate: 0", "key");
  }
  if (most !== undefined && most < open) {
    const message = `is less than open. Write at least ${formatDuration(open)}`;
    report([...path, "max_open"], message);
  }
  if (given.statuses !== undefined && !forwardsRequests(name)) {
    report([...path, "statuses"], `has no effect on ${name}, which sees no answers`, "key");
  }
}

function checkSlowStart(where: Destination, path: Path, report: Report): void {
  const { slow_start: given, balance, target, targets = [] } = where;
  if (given === undefined || given === 0) return;
  if (balance === "source_hash") {
    const message = "has no effect with balance: source_hash, which leaves each client its target";
    return report(path, message, "key");
  }
  const all = target === undefined ? targets : [target];
  const [only] = all.map((written) => addressOf(written).endpoint);
  if (only === undefined || all.length > 1) return;
  if (only.kind !== "unix" && isIP(only.host) === 0) return; // its name may have several addresses
  report(path, "has no effect on a target that stands alone", "key");
}
