// What becomes of targets that fail, as rows: probes, circuit breaker, slow start, and the budget of retries. Pure. Called by
// the files beside this one, by plan-text.ts and by explain-text.ts.

import { formatDuration, formatPercent } from "../../config/units.ts";
import type { RetryPlan } from "../../shared/http-plan.ts";
import type { BreakerPlan, GroupPlan } from "../../shared/plan.ts";
import { EJECTION } from "../../shared/recovery-limits.ts";
import { formatHealth, type Row } from "./rows.ts";

type Recovering = Pick<GroupPlan, "health" | "breaker" | "slowStartMs">;

/** What was configured of a group's targets. */
export function recoveryRows({ health, breaker, slowStartMs }: Recovering): Row[] {
  return [
    ...(health === null ? [] : [["health", formatHealth(health)] as Row]),
    ...(breaker === null ? [] : breakerRows(breaker)),
    ...(slowStartMs === 0 ? [] : [["slow start", formatSlowStart(slowStartMs)] as Row]),
  ];
}

/** The same as lines of their own. */
export function recoveryLines(group: Recovering): string[] {
  return recoveryRows(group).map(([name, text]) => {
    if (name === "") return `  ${text}`;
    return name === "health" ? text : `${name}: ${text}`;
  });
}

/** What holds without a breaker. */
export function ejectionRows({ targets, breaker }: GroupPlan): Row[] {
  if (breaker !== null || targets.length < 2) return [];
  const { failures, firstMs, maxMs } = EJECTION;
  const times = `for ${formatDuration(firstMs)}, each time twice as long, up to ${formatDuration(maxMs)}`;
  return [["left out", `after ${failures} failures in a row, ${times}`]];
}

function breakerRows(breaker: BreakerPlan): Row[] {
  const { failures, errorRate, minimum, windowMs, openMs, maxOpenMs, probes, statuses } = breaker;
  const rate = `${formatPercent(errorRate)} of at least ${minimum} within ${formatDuration(windowMs)}`;
  const when = [
    ...(failures === 0 ? [] : [`${failures} ${failures === 1 ? "failure" : "failures in a row"}`]),
    ...(errorRate === 0 ? [] : [rate]),
  ];
  const grows =
    maxOpenMs > openMs ? `, each time twice as long, up to ${formatDuration(maxOpenMs)}` : "";
  const parts = [
    `open for ${formatDuration(openMs)}${grows}`,
    `closes when ${probes === 1 ? "one has" : `${probes} have`} succeeded`,
    ...(statuses.length === 0 ? [] : [`${statuses.join(", ")} are failures`]),
    `while all are open clients are ${breaker.refuses ? "refused" : "sent to them all the same"}`,
  ];
  return [
    ["breaker", `opens after ${when.join(" or ")}`],
    ["", parts.join("; ")],
  ];
}

function formatSlowStart(ms: number): string {
  return `the share of a target that came back grows for ${formatDuration(ms)}`;
}

export function formatRetries({ attempts, connect, statuses, budget }: RetryPlan): string {
  if (attempts === 0) return "never";
  const times = attempts === 1 ? "once" : attempts === 2 ? "twice" : `${attempts} times`;
  const on = [...(connect ? ["no connection"] : []), ...statuses.map(String)];
  const tried = `${times}, on ${on.join(", ")}`;
  if (budget === null) return tried;
  const { share, minPerSecond } = budget;
  const least = minPerSecond === 0 ? "" : `${share === 0 ? "" : " or "}${minPerSecond} a second`;
  return `${tried}; at most ${share === 0 ? "" : `${formatPercent(share)} of requests`}${least}`;
}
