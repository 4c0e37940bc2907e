// What routes are called where they are counted (shared/route-names.ts): as the configuration says, or by what they match, so
// that a name stays as long as its route does. Called by http-routes.ts and groups.ts.

import { alternatives } from "../../config/http-coverage.ts";
import type { RouteConfig } from "../../config/schema-http.ts";
import { METRICS } from "../../shared/metrics-limits.ts";
import { DEFAULT_ROUTE, OTHER_ROUTES } from "../../shared/route-names.ts";

type Named = Pick<RouteConfig, "name" | "sni" | "alpn" | "match">;

/** By route as written. Names that are made here differ from all others. */
export function nameRoutes(routes: readonly Named[]): string[] {
  const taken = new Set([DEFAULT_ROUTE, ...routes.flatMap(({ name }) => name ?? [])]);
  const names = routes.map((route) => {
    if (route.name !== undefined) return route.name;
    const name = unlike(taken, shortened(describe(route)));
    taken.add(name);
    return name;
  });
  const counted = new Set([...new Set(names)].slice(0, METRICS.routesMax));
  return names.map((name) => (counted.has(name) ? name : OTHER_ROUTES));
}

function unlike(taken: ReadonlySet<string>, name: string): string {
  let unique = name;
  for (let i = 2; taken.has(unique); i++) unique = `${name} #${i}`;
  return unique;
}

/** `GET,HEAD api.example.com/v1/* +2 with x-version`: of fields the names, since values may be secrets. */
function describe({ sni, alpn, match }: Named): string {
  const { host: [host = ""] = [], path: [path = ""] = [], methods, headers = {} } = match ?? {};
  const more = alternatives({ match }).length - 1;
  const fields = Object.keys(headers).map((name) => name.toLowerCase());
  const parts = [
    methods?.join(",") ?? "",
    sni ?? `${host}${path}`,
    more === 0 ? "" : `+${more}`,
    fields.length === 0 ? "" : `with ${fields.join(",")}`,
    alpn === undefined ? "" : `alpn ${alpn.join(",")}`,
  ];
  return parts.filter((part) => part !== "").join(" ") || "*";
}

function shortened(name: string): string {
  return name.length <= METRICS.nameMax ? name : `${name.slice(0, METRICS.nameMax - 1)}…`;
}
