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
  const earlier = new Coverers();
  return matches.flatMap((match, i) => {
    const by = earlier.first(match);
    earlier.add(match, i);
    return by === undefined ? [] : [{ route: i, by }];
  });
}

/** Matches by host and path, so that few are compared where a configuration has ten thousand. */
class Coverers {
  readonly #byPlace = new Map<string, { readonly match: Match; readonly index: number }[]>();
  /** How long the beginnings are that paths with a * at their end have. */
  readonly #lengths = new Set<number>();

  add(match: Match, index: number): void {
    const { host, path } = match;
    const place = placeOf(host, path);
    const there = this.#byPlace.get(place);
    if (there === undefined) this.#byPlace.set(place, [{ match, index }]);
    else there.push({ match, index });
    if (path?.endsWith("*") === true) this.#lengths.add(path.length - 1);
  }

  /** The first that fits wherever this one does. */
  first(match: Match): number | undefined {
    let best: number | undefined;
    const paths = this.#pathsOver(match.path);
    for (const host of hostsOver(match.host)) {
      for (const path of paths) {
        const found = this.#byPlace
          .get(placeOf(host, path))
          ?.find((earlier) => coversRest(earlier.match, match));
        if (found !== undefined) best = Math.min(best ?? found.index, found.index);
      }
    }
    return best;
  }

  /** Only as far as the text tells: paths that are written in two ways are not compared. */
  #pathsOver(path: string | undefined): readonly (string | undefined)[] {
    if (path === undefined) return [undefined, "/*"];
    const all = new Set<string | undefined>([undefined, path]);
    const begins = path.endsWith("*") ? path.slice(0, -1) : path;
    for (const length of this.#lengths) {
      if (length <= begins.length) all.add(`${begins.slice(0, length)}*`);
    }
    // `/v1/*` is also for `/v1`, as `/v1*` is.
    if (begins === path) all.add(`${path}/*`);
    return [...all];
  }
}

const placeOf = (host: string | undefined, path: string | undefined): string =>
  `${host ?? ""} ${path ?? ""}`;

/** No host, the host itself, and the wildcards above it. */
function hostsOver(host: string | undefined): readonly (string | undefined)[] {
  if (host === undefined) return [undefined];
  const above: string[] = [];
  for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) {
    above.push(`*${host.slice(dot)}`);
  }
  return [...new Set([undefined, host, ...above])];
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

/** Of two whose host and path do. */
function coversRest(earlier: Match, later: Match): boolean {
  return (
    coversMethods(earlier.methods, later.methods) && coversHeaders(earlier.headers, later.headers)
  );
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
