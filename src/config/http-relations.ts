// Checks over listeners that forward requests: routes that are never reached, changes that contradict each other or touch what is
// the connection's own, and keys without effect. Called by relations.ts.

import { alternatives, coveredRoutes, describeMatch } from "./http-coverage.ts";
import { fieldNameFault } from "./http-fields.ts";
import { forwardsTo, isHttp2 } from "./http-targets.ts";
import type { Path, Report } from "./problems.ts";
import type { RouteConfig, Treatment } from "./schema-http.ts";
import type { Destination } from "./schema-targets.ts";
import type { ProtocolConfig } from "./schema.ts";
import { addressOf } from "./target.ts";

/** RFC 9110 section 7.6.1, and what frames a message: of each connection, and written by the proxy. */
const OF_THE_CONNECTION: readonly string[] = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "content-length",
  "te",
  "trailer",
  "upgrade",
  "http2-settings",
  "expect",
];

export function checkRequests(entry: ProtocolConfig, path: Path, report: Report): void {
  const { routes = [], client_subject_header: subject } = entry;
  checkCoverage(entry, path, report);
  checkTreatment(entry, path, report);
  if (routes.length === 0) checkRedirect(entry, path, report);
  routes.forEach((route, i) => {
    for (const key of ["limits", "timeouts"] as const) {
      if (route.redirect === undefined || route[key] === undefined) continue;
      report([...path, "routes", i, key], NO_TARGET_ASKED, "key");
    }
    checkMatch(route, [...path, "routes", i, "match"], report);
    checkTreatment(route, [...path, "routes", i], report);
    checkRedirect(route, [...path, "routes", i], report);
  });
  checkGrpcWeb(entry, path, report);
  if (subject !== undefined && OF_THE_CONNECTION.concat("host").includes(subject)) {
    const cure = "Write for example x-client-subject";
    report([...path, "client_subject_header"], `"${subject}" is another field's name. ${cure}`);
  }
  const { send = "off" } = entry.proxy_protocol ?? {};
  if (send !== "off") {
    const message = `has no effect on ${entry.name}, whose targets are told of clients by X-Forwarded-For`;
    report([...path, "proxy_protocol", "send"], message, "key");
  }
}

function checkCoverage(entry: ProtocolConfig, path: Path, report: Report): void {
  const { routes = [] } = entry;
  const way = (["target", "targets", "redirect"] as const).find((key) => entry[key] !== undefined);
  // Each host with each path by itself, and the route that it is of.
  const all = routes.flatMap((route, i) => alternatives(route).map((match) => ({ match, of: i })));
  if (way !== undefined && routes.length > 0) all.push({ match: {}, of: routes.length });
  for (const { route, by } of coveredRoutes(all.map(({ match }) => match))) {
    const [narrow, wide] = [all[route]!, all[by]!];
    const first = `routes[${wide.of}] (${describeMatch(wide.match)}) fits wherever`;
    if (narrow.of === routes.length) {
      report([...path, way!], `is never reached: ${first} it would. Keep one of them`, "key");
    } else if (narrow.of === wide.of) {
      const [one, other] = [describeMatch(narrow.match), describeMatch(wide.match)];
      const message = one === other ? `${one} stands there twice` : `${one} is among ${other}`;
      report([...path, "routes", narrow.of, "match"], `${message}. Leave it out`, "key");
    } else {
      const message = `is never reached: ${first} ${describeMatch(narrow.match)} does`;
      report([...path, "routes", narrow.of], `${message}. Put the narrower one first`);
    }
  }
}

function checkMatch({ match }: RouteConfig, path: Path, report: Report): void {
  if (match === undefined) return;
  const { headers } = match;
  if (Object.keys(match).length === 0) {
    report(path, "fits every request. Leave match out for that", "key");
  }
  checkNames(headers, [...path, "headers"], report, (name) => {
    if (name === "host") return "has a key of its own. Write host beside headers";
    if (name === "upgrade" || !OF_THE_CONNECTION.includes(name)) return undefined;
    return "is the connection's, and no route is chosen by it";
  });
}

/** Names of a mapping of fields. */
function checkNames(
  fields: Readonly<Record<string, string>> | undefined,
  path: Path,
  report: Report,
  refusal: (name: string) => string | undefined,
): void {
  const seen = new Map<string, string>();
  for (const written of Object.keys(fields ?? {})) {
    const name = written.toLowerCase();
    const other = seen.get(name);
    const fault =
      fieldNameFault(written) ??
      refusal(name) ??
      (other === undefined ? undefined : `is "${other}" in other letters. Keep one of them`);
    if (fault !== undefined) report([...path, written], fault, "key");
    seen.set(name, written);
  }
}

function editRefusal(name: string): string | undefined {
  if (name === "host") return "belongs to every request, once. It can be set there";
  if (!OF_THE_CONNECTION.includes(name)) return undefined;
  return "is the connection's own, and set by the proxy where it is needed";
}

function checkTreatment(
  given: Treatment & Pick<RouteConfig, "match">,
  path: Path,
  report: Report,
): void {
  const { headers, retries, host } = given;
  for (const part of ["request", "response"] as const) {
    const edit = headers?.[part];
    const at = [...path, "headers", part];
    checkNames(edit?.set, [...at, "set"], report, (name) => {
      if (name !== "host" || part === "response") return editRefusal(name);
      return host === undefined ? undefined : `stands beside host: ${host}. Keep one of them`;
    });
    checkNames(edit?.add, [...at, "add"], report, editRefusal);
    edit?.remove?.forEach((name, i) => {
      const fault = editRefusal(name);
      if (fault !== undefined) return report([...at, "remove", i], `"${name}" ${fault}`);
      const set = Object.keys(edit.set ?? {}).find((other) => other.toLowerCase() === name);
      if (set === undefined) return;
      report(
        [...at, "remove", i],
        `"${name}" is set as well, which replaces it. Remove one of them`,
      );
    });
  }
  checkRewrite(given, path, report);
  if (retries?.attempts === 0 && retries.on !== undefined) {
    report([...path, "retries", "on"], "has no effect with attempts: 0", "key");
  }
  checkRetryBudget(retries, [...path, "retries"], report);
}

function checkRetryBudget(retries: Treatment["retries"], path: Path, report: Report): void {
  const { attempts, on = [], budget, min_per_second: least } = retries ?? {};
  const isUsed = attempts !== 0 && on.some((cause) => cause !== "connect");
  for (const key of ["budget", "min_per_second"] as const) {
    if (isUsed || retries?.[key] === undefined) continue;
    const cure = "without a status in on: a target that could not be reached has had no work";
    report([...path, key], `has no effect ${attempts === 0 ? "with attempts: 0" : cure}`, "key");
  }
  if (!isUsed) return;
  if (budget === "off" && least !== undefined) {
    report([...path, "min_per_second"], "has no effect with budget: off", "key");
  }
  if (budget === 0 && least === 0) {
    report([...path, "budget"], "leaves no status to try again for. Leave the statuses out of on");
  }
}

const NO_TARGET_ASKED = "has no effect on a redirect, which asks no target";

const ASKS_A_TARGET = [
  "rewrite",
  "retries",
  "compress",
  "grpc_web",
  "grpc_web_origins",
  "host",
  "balance",
  "health",
  "circuit_breaker",
  "slow_start",
] as const;

/** Of a route, or of a listener without routes: beside routes, a listener's keys are their defaults too. */
function checkRedirect(given: Treatment & Destination, path: Path, report: Report): void {
  if (given.redirect === undefined) return;
  for (const key of ASKS_A_TARGET) {
    if (given[key] !== undefined) report([...path, key], NO_TARGET_ASKED, "key");
  }
  if (given.headers?.request !== undefined) {
    report([...path, "headers", "request"], NO_TARGET_ASKED, "key");
  }
}

function checkRewrite(
  route: Treatment & Pick<RouteConfig, "match">,
  path: Path,
  report: Report,
): void {
  const { rewrite, match } = route;
  if (rewrite === undefined) return;
  const at = [...path, "rewrite"];
  const { strip_prefix: strip, add_prefix: add } = rewrite;
  if (strip === undefined && add === undefined) {
    return report(at, "changes nothing. Write strip_prefix or add_prefix", "key");
  }
  if (strip !== undefined && strip === add) {
    return report([...at, "add_prefix"], "puts back what strip_prefix takes off");
  }
  if (strip === undefined || match?.path === undefined) return;
  const { path: paths } = match;
  if (paths.some((pattern) => mayBeginWith(pattern, strip))) return;
  const message = `has no effect: no path of this route (${paths.join(", ")}) begins with ${strip}`;
  report([...at, "strip_prefix"], message);
}

/** Whether a path that fits may have this prefix, of whole segments. */
function mayBeginWith(pattern: string, prefix: string): boolean {
  const asked = pattern.replace(/\*$/, "");
  if (!pattern.endsWith("*")) return asked === prefix || asked.startsWith(`${prefix}/`);
  return asked.startsWith(prefix) || `${prefix}/`.startsWith(asked);
}

function checkGrpcWeb(entry: ProtocolConfig, path: Path, report: Report): void {
  const { routes = [] } = entry;
  const need = "needs targets that speak HTTP/2. Write h2c:// or h2:// before all of them";
  if (![entry, ...routes].some(speaksHttp2)) {
    if (entry.grpc_web === true) report([...path, "grpc_web"], need, "key");
    else if (entry.grpc_web_origins !== undefined) {
      report([...path, "grpc_web_origins"], need, "key");
    }
  }
  routes.forEach((route, i) => {
    const at = [...path, "routes", i];
    if (route.redirect !== undefined) return;
    if (route.grpc_web === true && !speaksHttp2(route)) report([...at, "grpc_web"], need, "key");
    if (route.grpc_web_origins === undefined) return;
    const off = (route.grpc_web ?? entry.grpc_web) === false;
    const why = off ? "has no effect with grpc_web: false" : need;
    if (off || !speaksHttp2(route)) report([...at, "grpc_web_origins"], why, "key");
  });
}

function speaksHttp2({ target, targets = [] }: Destination): boolean {
  const all = target === undefined ? targets : [...targets, target];
  return all.length > 0 && all.every((written) => isHttp2(forwardsTo(addressOf(written)).scheme));
}
