// How long requests took, as a histogram. What workers have counted is in buckets already, which prom-client has no way to
// take, so this is a metric of our own that gives it the lines to write. Called by metrics.ts.

import type { RequestStats } from "../../shared/counters.ts";
import type { Distribution, ListenerReading } from "./family.ts";

export const DURATION_NAME = "http_request_duration_seconds";
const HELP = "From a request's head to the end of its answer.";

export function durationsOf(listeners: readonly ListenerReading[]): Distribution[] {
  return listeners.flatMap(({ plan, stats }) =>
    stats.routes.map((route) => distributionOf({ listener: plan.key, route: route.name }, route)),
  );
}

function distributionOf(
  labels: Distribution["labels"],
  { took, totalMs }: RequestStats,
): Distribution {
  let count = 0;
  const buckets = Object.entries(took)
    .map(([ms, own]) => [Number(ms), own] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([ms, own]) => {
      count += own;
      return [ms === Infinity ? "+Inf" : String(ms / 1_000), count] as const;
    });
  return { labels, buckets, sum: totalMs / 1_000, count };
}

/** As prom-client asks its own metrics for their values. */
export function histogramOf(name: string, distributions: readonly Distribution[]) {
  const values = distributions.flatMap(({ labels, buckets, sum, count }) => [
    ...buckets.map(([le, value]) => ({
      metricName: `${name}_bucket`,
      labels: { le, ...labels },
      value,
    })),
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ]);
  return {
    name,
    help: HELP,
    type: "histogram",
    get: () => ({ name, help: HELP, type: "histogram", values }),
  };
}
