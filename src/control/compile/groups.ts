// Targets, how one is chosen, and routes by TLS name: for every protocol. What a target needs besides its address depends on
// the protocol and comes as a function. Called by the files beside this one.

import type { Destination, TargetConfig } from "../../config/schema-targets.ts";
import type { ProtocolConfig } from "../../config/schema.ts";
import { addressOf } from "../../config/target.ts";
import { HEALTH_DEFAULTS } from "../../shared/limits.ts";
import type {
  BreakerPlan,
  GroupPlan,
  HealthPlan,
  RoutePlan,
  TargetPlan,
} from "../../shared/plan.ts";
import { BREAKER_DEFAULTS } from "../../shared/recovery-limits.ts";
import { DEFAULT_ROUTE } from "../../shared/route-names.ts";
import { nameRoutes } from "./route-names.ts";

/** A group whose targets are of kind T. */
export type GroupOf<T extends TargetPlan> = Omit<GroupPlan, "targets"> & {
  readonly targets: readonly T[];
};

export function compileGroup<T extends TargetPlan>(
  { target, targets, balance, health, circuit_breaker: breaker, slow_start: slow }: Destination,
  compileOne: (written: TargetConfig) => T,
): GroupOf<T> {
  const written: readonly TargetConfig[] = targets ?? (target === undefined ? [] : [target]);
  return {
    balance: balance ?? "round_robin",
    targets: written.map(compileOne),
    health: compileHealth(health),
    breaker: compileBreaker(breaker),
    slowStartMs: slow ?? 0,
  };
}

/** Of a target that is nothing but an address. */
export function compileTarget(written: TargetConfig): TargetPlan {
  const { endpoint } = addressOf(written);
  const { weight = 1, backup = false } = "address" in written ? written : {};
  return { endpoint, weight, backup };
}

function compileHealth(given: Destination["health"]): HealthPlan | null {
  if (given === undefined) return null;
  return {
    type: given.type ?? HEALTH_DEFAULTS.type,
    path: given.path ?? HEALTH_DEFAULTS.path,
    statuses: given.expect ?? HEALTH_DEFAULTS.statuses,
    intervalMs: given.interval ?? HEALTH_DEFAULTS.intervalMs,
    timeoutMs: given.timeout ?? HEALTH_DEFAULTS.timeoutMs,
    rise: given.rise ?? HEALTH_DEFAULTS.rise,
    fall: given.fall ?? HEALTH_DEFAULTS.fall,
  };
}

function compileBreaker(given: Destination["circuit_breaker"]): BreakerPlan | null {
  if (given === undefined) return null;
  const openMs = given.open ?? BREAKER_DEFAULTS.openMs;
  return {
    failures: given.failures ?? BREAKER_DEFAULTS.failures,
    errorRate: given.error_rate ?? BREAKER_DEFAULTS.errorRate,
    minimum: given.minimum ?? BREAKER_DEFAULTS.minimum,
    windowMs: given.window ?? BREAKER_DEFAULTS.windowMs,
    openMs,
    // Who lets it stay open for longer than that has said so.
    maxOpenMs: given.max_open ?? Math.max(openMs, BREAKER_DEFAULTS.maxOpenMs),
    probes: given.probes ?? BREAKER_DEFAULTS.probes,
    statuses: given.statuses ?? [],
    refuses: given.all_open !== "try",
  };
}

/** The group of whoever no rule names is the first: that of the listener's own targets, or of the route without a name. */
export function compileNameRoutes<T extends TargetPlan>(
  entry: ProtocolConfig,
  compileOne: (written: TargetConfig) => T,
): { groups: GroupOf<T>[]; routes: RoutePlan[] } {
  const { routes = [], target, targets } = entry;
  const own = target !== undefined || targets !== undefined;
  if (routes.length === 0) return { groups: [compileGroup(entry, compileOne)], routes: [] };
  const names = nameRoutes(routes);
  const rules = routes.map((route, i) => ({
    name: names[i]!,
    sni: route.sni ?? null,
    alpn: route.alpn ?? null,
    group: compileGroup(route, compileOne),
  }));
  if (own)
    rules.push({
      name: DEFAULT_ROUTE,
      sni: null,
      alpn: null,
      group: compileGroup(entry, compileOne),
    });
  const fitsAll = rules.find(({ sni, alpn }) => sni === null && alpn === null);
  const groups = rules.map(({ group }) => group);
  if (fitsAll !== undefined) {
    groups.splice(groups.indexOf(fitsAll.group), 1);
    groups.unshift(fitsAll.group);
  }
  return { groups, routes: rules.map((rule) => ({ ...rule, group: groups.indexOf(rule.group) })) };
}
