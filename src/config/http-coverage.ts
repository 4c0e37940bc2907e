// Whether a route of requests can be reached: which earlier one fits wherever it would. Pure. Called by http-relations.ts; what
// a match means at run time is in protocols/http/route.

import type { RouteConfig } from "./schema-http.ts";

/** A match with one host and one path at most. */
export interface Match {
  readonly host?: string | undefined;
  readonly path?: string | undefined;
  readonly methods?: readonly string[] | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** A match for each host with each path. None of either: for every one. */
export function alternatives({ match }: Pick<RouteConfig, "match">): Match[] {
  const { host: hosts = [undefined], path: paths = [undefined], ...rest } = match ?? {};
  return hosts.flatMap((host) => paths.map((path) => ({ ...rest, host, path })));
}

/** Routes that are never reached, each with the earlier one that is in its way. */
export function coveredRoutes(matches: readonly Match[]): { route: number; by: number }[] {
  return matches.flatMap((match, i) => {
    const by = matches.findIndex((earlier, j) => j < i && covers(earlier, match));
    return by < 0 ? [] : [{ route: i, by }];
  });
}

/** For people: `GET api.example.com/v1/*`. */
export function describeMatch({ host, path, methods, headers }: Match): string {
  const parts = [
    ...(methods === undefined ? [] : [methods.join(" or ")]),
    ...(host === undefined && path === undefined ? [] : [`${host ?? ""}${path ?? ""}`]),
    ...Object.entries(headers ?? {}).map(([name, value]) =>
      value === "*" ? `with ${name}` : `with ${name}: ${value}`,
    ),
  ];
  return parts.length === 0 ? "every request" : parts.join(" ");
}

function covers(earlier: Match, later: Match): boolean {
  return (
    coversHost(earlier.host, later.host) &&
    coversPath(earlier.path, later.path) &&
    coversMethods(earlier.methods, later.methods) &&
    coversHeaders(earlier.headers, later.headers)
  );
}

function coversHost(wide: string | undefined, narrow: string | undefined): boolean {
  if (wide === undefined) return true;
  if (narrow === undefined) return false;
  return wide === narrow || (wide.startsWith("*.") && narrow.endsWith(wide.slice(1)));
}

/** Only as far as the text tells: paths that are written in two ways are not compared. */
function coversPath(wide: string | undefined, narrow: string | undefined): boolean {
  if (wide === undefined) return true;
  if (narrow === undefined) return wide === "/*";
  if (wide === narrow) return true;
  if (!wide.endsWith("*")) return false;
  const prefix = wide.slice(0, -1);
  const begins = narrow.endsWith("*") ? narrow.slice(0, -1) : narrow;
  // `/v1/*` is also for `/v1`, as `/v1*` is.
  return begins.startsWith(prefix) || (!narrow.endsWith("*") && `${narrow}/` === prefix);
}

function coversMethods(wide: Match["methods"], narrow: Match["methods"]): boolean {
  if (wide === undefined) return true;
  return narrow !== undefined && narrow.every((method) => wide.includes(method));
}

function coversHeaders(wide: Match["headers"] = {}, narrow: Match["headers"] = {}): boolean {
  const has = new Map(Object.entries(narrow).map(([name, value]) => [name.toLowerCase(), value]));
  return Object.entries(wide).every(([name, value]) => {
    const asked = has.get(name.toLowerCase());
    return asked !== undefined && (value === "*" || value === asked);
  });
}
