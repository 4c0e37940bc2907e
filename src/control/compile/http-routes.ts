// Routes of requests and where they lead. A listener's own target is the last route, and what stands beside it is the default
// of every other one: a route's own key wins, and changes of header fields add up. Called by http.ts.

import { alternatives, type Match } from "../../config/http-coverage.ts";
import { forwardsTo, isHttp2 } from "../../config/http-targets.ts";
import type { Bounds, Treatment } from "../../config/schema-http.ts";
import type { Destination, TargetConfig } from "../../config/schema-targets.ts";
import type { ProtocolConfig } from "../../config/schema.ts";
import { addressOf } from "../../config/target.ts";
import type {
  ForwardedPlan,
  HeaderEditPlan,
  HttpGroupPlan,
  HttpMatchPlan,
  HttpPlan,
  HttpRoutePlan,
  HttpTargetPlan,
  HttpTimeoutsPlan,
  RetryBudgetPlan,
  RetryPlan,
  RewritePlan,
  RouteTimeoutsPlan,
} from "../../shared/http-plan.ts";
import { HTTP_DEFAULTS } from "../../shared/limits.ts";
import { RETRY_BUDGET } from "../../shared/recovery-limits.ts";
import { DEFAULT_ROUTE } from "../../shared/route-names.ts";
import { compileGroup, compileTarget } from "./groups.ts";
import { nameRoutes } from "./route-names.ts";
import { compileClientTls } from "./tls.ts";

/** @param listener what holds for routes that say nothing else. */
export function compileRoutes(
  entry: ProtocolConfig,
  listener: Pick<HttpPlan, "limits" | "timeouts">,
): Pick<HttpPlan, "routes" | "groups"> {
  const groups: HttpGroupPlan[] = [];
  const forwarded = compileForwarded(entry);
  const compileRoute = (
    route: Destination & Treatment & Bounds,
    name: string,
  ): Omit<HttpRoutePlan, "match"> => {
    const { redirect } = route;
    const common = {
      name,
      request: compileEdit(entry, route, "request"),
      response: compileEdit(entry, route, "response"),
      rewrite: compileRewrite(route.rewrite ?? entry.rewrite),
      retries: compileRetries(route.retries ?? entry.retries),
      compress: route.compress ?? entry.compress ?? false,
      host: route.host ?? entry.host ?? "client",
      forwarded,
      limits: { bodyBytes: route.limits?.max_body ?? listener.limits.bodyBytes },
      timeouts: compileTimeouts(route, listener.timeouts),
    } as const;
    if (redirect !== undefined) {
      const { to, status = HTTP_DEFAULTS.redirectStatus } = redirect;
      return {
        ...common,
        group: null,
        redirect: { to, status },
        compress: false,
        grpcWeb: false,
        grpcWebOrigins: [],
      };
    }
    const group = compileGroup(route, compileHttpTarget);
    const speaks = group.targets.every(({ scheme }) => isHttp2(scheme));
    const grpcWeb = (route.grpc_web ?? entry.grpc_web ?? true) && speaks;
    const grpcWebOrigins = grpcWeb ? (route.grpc_web_origins ?? entry.grpc_web_origins ?? []) : [];
    return { ...common, group: groups.push(group) - 1, redirect: null, grpcWeb, grpcWebOrigins };
  };
  const names = nameRoutes(entry.routes ?? []);
  const routes: HttpRoutePlan[] = (entry.routes ?? []).flatMap((route, i) => {
    const compiled = compileRoute(route, names[i]!);
    return alternatives(route).map((match) => ({ ...compiled, match: compileMatch(match) }));
  });
  const { target, targets, redirect } = entry;
  if (target !== undefined || targets !== undefined || redirect !== undefined) {
    routes.push({ ...compileRoute(entry, DEFAULT_ROUTE), match: compileMatch({}) });
  }
  return { routes, groups };
}

function compileTimeouts({ timeouts: own }: Bounds, all: HttpTimeoutsPlan): RouteTimeoutsPlan {
  return {
    responseMs: own?.response ?? all.responseMs,
    idleMs: own?.idle ?? all.idleMs,
    totalMs: own?.total ?? all.totalMs,
  };
}

function compileMatch({ host, path, methods, headers = {} }: Match): HttpMatchPlan {
  const fields = Object.entries(headers).map(([name, value]) => ({
    name: name.toLowerCase(),
    value: value === "*" ? null : value,
  }));
  return { host: host ?? null, path: path ?? null, methods: methods ?? null, headers: fields };
}

type Part = "request" | "response";

/** The listener's, and then the route's: what both set is the route's. */
function compileEdit(listener: Treatment, route: Treatment, part: Part): HeaderEditPlan {
  const both = listener === route ? [route] : [listener, route];
  const edits = both.map(({ headers }) => headers?.[part] ?? {});
  const set = new Map<string, string>();
  let add: { name: string; value: string }[] = [];
  const remove = new Set<string>();
  for (const edit of edits) {
    for (const name of edit.remove ?? []) {
      set.delete(name);
      add = add.filter((field) => field.name !== name);
      remove.add(name);
    }
    for (const [name, value] of Object.entries(edit.set ?? {})) {
      remove.delete(name.toLowerCase());
      set.set(name.toLowerCase(), value);
    }
    for (const [name, value] of Object.entries(edit.add ?? {})) {
      add.push({ name: name.toLowerCase(), value });
    }
  }
  // Whose own `host` says something else is not sent the listener's.
  const own = Object.keys(route.headers?.[part]?.set ?? {}).some(
    (name) => name.toLowerCase() === "host",
  );
  if (route.host !== undefined && !own) set.delete("host");
  return {
    set: [...set].map(([name, value]) => ({ name, value })),
    add,
    remove: [...remove],
  };
}

function compileRewrite(given: Treatment["rewrite"]): RewritePlan | null {
  if (given === undefined) return null;
  return { stripPrefix: given.strip_prefix ?? "", addPrefix: given.add_prefix ?? "" };
}

function compileRetries(given: Treatment["retries"]): RetryPlan {
  const on = given?.on ?? ["connect"];
  return {
    attempts: given?.attempts ?? HTTP_DEFAULTS.retryAttempts,
    connect: on.includes("connect"),
    statuses: on.filter((status) => status !== "connect"),
    budget: on.some((status) => status !== "connect") ? compileBudget(given) : null,
  };
}

function compileBudget(given: Treatment["retries"]): RetryBudgetPlan | null {
  const share = given?.budget ?? RETRY_BUDGET.share;
  if (share === "off") return null;
  return { share, minPerSecond: given?.min_per_second ?? RETRY_BUDGET.minPerSecond };
}

function compileForwarded(entry: ProtocolConfig): ForwardedPlan {
  const { forwarded: given, client_subject_header: clientSubject = null } = entry;
  return {
    xForwarded: given?.x_forwarded ?? true,
    forwarded: given?.rfc7239 ?? false,
    via: given?.via ?? false,
    requestId: given?.request_id ?? true,
    clientSubject,
  };
}

function compileHttpTarget(written: TargetConfig): HttpTargetPlan {
  const { scheme, authority, secure } = forwardsTo(addressOf(written));
  const given = "address" in written ? written.tls : undefined;
  return {
    ...compileTarget(written),
    scheme,
    authority,
    tls: secure ? compileClientTls(given ?? {}) : null,
  };
}
