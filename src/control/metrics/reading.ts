// What metrics are read from, taken at one moment: counters of workers in shared memory, certificates, and the process. Called
// by the admin listener, at a scrape.

import { emptyStats } from "../../shared/counters.ts";
import { routesOfGroups } from "../../shared/route-names.ts";
import { readinessOf, type Subject } from "../admin/health.ts";
import { descriptorsMax, openDescriptors } from "../overload/usage.ts";
import type { Proxy, ProxyStats } from "../proxy.ts";
import type { ListenerReading, ProcessReading, Reading } from "./family.ts";

/** Taken once: the clock may be set later. */
const STARTED_MS = Date.now() - process.uptime() * 1_000;

export function takeReading(subject: Subject): Reading {
  const { proxy, reloads, refusal } = subject;
  const kinds = (proxy?.workers() ?? []).map(({ kind }) => kind);
  const { workerRestarts = 0, listeners = {} } = proxy?.stats() ?? {};
  const count = (kind: string): number => kinds.filter((each) => each === kind).length;
  return {
    listeners: listenersOf(proxy, listeners),
    certificates: proxy?.certificates() ?? [],
    certificateFiles: proxy?.certificateFiles() ?? [],
    workers: { relay: count("relay"), gateway: count("gateway") },
    workerRestarts,
    ready: readinessOf(subject).reasons.length === 0,
    reloads,
    taken: refusal === null,
    lagMs: lagOf(proxy),
    overloaded: proxy?.health().overloaded ?? [],
    process: processReading(),
  };
}

function listenersOf(proxy: Proxy | undefined, stats: ProxyStats["listeners"]): ListenerReading[] {
  if (proxy === undefined) return [];
  const workers = new Map(proxy.listeners().map(({ key, workers: on }) => [key, on.length]));
  const targets = proxy.targets();
  return proxy.plan.listeners.map((plan) => {
    const routes = routesOfGroups(plan);
    return {
      plan,
      stats: stats[plan.key] ?? emptyStats(0),
      targets: (targets.get(plan.key) ?? []).map(({ name, weight, mode, group }) => {
        return { name, weight, mode, route: routes[group]! };
      }),
      workers: workers.get(plan.key) ?? 0,
    };
  });
}

function lagOf(proxy: Proxy | undefined): Record<string, number> {
  if (proxy === undefined) return {};
  const { control, workers } = proxy.health().lagMs;
  return { control, ...Object.fromEntries(workers.map(({ index, lagMs }) => [index, lagMs])) };
}

export function processReading(): ProcessReading {
  const { user, system } = process.cpuUsage();
  return {
    cpuSeconds: (user + system) / 1e6,
    residentBytes: process.memoryUsage.rss(),
    startedMs: STARTED_MS,
    descriptors: openDescriptors(),
    descriptorsMax: descriptorsMax(),
  };
}
