// What routes are called in metrics and in the API. Names are in the plan, made once (control/compile/route-names.ts), so there
// are never more of them than a configuration has routes. Several routes may have one name: they are counted together.
// Called by both planes: a worker writes the counters of a route at its place in `countedRoutes`, and the control plane reads
// them there.

import { type HttpRoutePlan, isHttpPlan } from "./http-plan.ts";
import type { ListenerPlan } from "./plan.ts";

/** Where a listener's own target is, and all of one without routes. */
export const DEFAULT_ROUTE = "default";
/** Of the routes that are more than METRICS.routesMax. */
export const OTHER_ROUTES = "other";
/** Of requests that no route takes. */
export const UNROUTED = "none";
/** Its place. */
export const UNROUTED_PLACE = 0;

/** By place; none of a listener that forwards no requests. */
export function countedRoutes(routes: readonly Pick<HttpRoutePlan, "name">[]): readonly string[] {
  return [...new Set([UNROUTED, ...routes.map(({ name }) => name)])];
}

export function countedRoutesOf(plan: ListenerPlan): readonly string[] {
  return isHttpPlan(plan) ? countedRoutes(plan.routes) : [];
}

/** The route that leads to each of a listener's groups. */
export function routesOfGroups(plan: ListenerPlan): readonly string[] {
  const routes = "routes" in plan ? plan.routes : [];
  const names = plan.groups.map(() => DEFAULT_ROUTE);
  for (const { group, name } of routes.toReversed()) if (group !== null) names[group] = name;
  return names;
}
