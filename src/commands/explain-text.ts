// The answer of `proxy explain`: for people, the way first and then why no other; for programs the same as JSON, with the parts
// of the plan that hold. Pure. Called by explain.ts.

import type { Explanation, Found, OwnAnswer } from "../explain/answer.ts";
import { formatUrl, type Question } from "../explain/question.ts";
import { type Endpoint, formatEndpoint } from "../shared/address.ts";
import { isHttpPlan } from "../shared/http-plan.ts";
import type { ListenerPlan } from "../shared/plan.ts";
import { listenerRows } from "./plan-text.ts";
import { formatMatch, formatRoute } from "./plan-text/http.ts";
import { ejectionRows, recoveryRows } from "./plan-text/recovery.ts";
import { formatDestination, type Row, table } from "./plan-text/rows.ts";
import { formatHelloRule } from "./plan-text/streams.ts";
import type { Style } from "./terminal.ts";

/** What the configuration names besides, and why nothing is forwarded there. */
export interface Aside {
  readonly name: string;
  readonly listen: Endpoint;
  readonly reason: string;
}

export function formatExplanation(
  explanation: Explanation,
  question: Question,
  asides: readonly Aside[],
  style: Style,
): string {
  const { found, listeners } = explanation;
  const blocks = [`${style.bold(formatUrl(question))} from ${question.client}`];
  blocks.push(
    found === null ? nobody(explanation, question) : table(foundRows(found, style), "  "),
  );
  if (found !== null) {
    const routes = routeRows(found);
    if (routes.length > 0) blocks.push(`${style.bold("Other routes")}\n${table(routes, "  ")}`);
    const rows = listenerRows(found.plan);
    blocks.push(`${style.bold(`What holds for ${found.plan.key}`)}\n${table(rows, "  ")}`);
  }
  const others: Row[] = [
    ...listeners.flatMap(({ listener, outcome, reason }): Row[] =>
      outcome === "elsewhere" ? [[listener, reason ?? ""]] : [],
    ),
    ...asides.map(({ name, listen, reason }): Row => [`${name} ${formatEndpoint(listen)}`, reason]),
  ];
  if (others.length > 0) blocks.push(`${style.bold("Other listeners")}\n${table(others, "  ")}`);
  return blocks.join("\n\n");
}

function nobody({ nearest, listeners }: Explanation, question: Question): string {
  if (nearest === null) return "  nothing takes it: there is no listener";
  const told = `  nothing takes it; ${nearest} comes nearest`;
  const { reason } = listeners.find(({ listener }) => listener === nearest)!;
  const [, port] = /^its port is (\d+), not \d+$/.exec(reason ?? "") ?? [];
  if (port === undefined) return told;
  return `${told}. To ask for that one: ${formatUrl({ ...question, port: Number(port) })}`;
}

function foundRows(found: Found, { green }: Style): Row[] {
  const { plan, notes, tls, refused, answer, request } = found;
  const rows: Row[] = [["listener", plan.key]];
  if (tls !== null) {
    rows.push(["certificate", tls.certificate]);
    if (tls.alpn !== null) rows.push(["speaks", tls.alpn]);
  }
  if (refused !== null) rows.push(["refused", refused]);
  else rows.push(...chosenRows(found));
  if (answer !== null) {
    const text = formatAnswer(answer);
    rows.push(["answered", refused === null ? green(text) : text]);
  }
  if (refused === null) rows.push(...targetRows(found, green));
  if (request !== null) {
    rows.push(["sent", `${request.method} ${request.path}`]);
    rows.push(...request.fields.map(([name, value]): Row => ["", `${name}: ${value}`]));
  }
  rows.push(...notes.map((note, i): Row => [i === 0 ? "supposed" : "", note]));
  return rows;
}

function formatAnswer({ status, location }: OwnAnswer): string {
  return `by this proxy, ${status}${location === null ? "" : ` to ${location}`}`;
}

function chosenRows({ plan, routes }: Found): Row[] {
  const chosen = routes.find((route) => route.chosen);
  if (chosen === undefined) return [];
  if (isHttpPlan(plan)) {
    const rows = formatRoute(plan.routes[chosen.index]!, plan);
    return rows.map(([, text], i) => [i === 0 ? `route ${chosen.index + 1}` : "", text]);
  }
  return [[`route ${chosen.index + 1}`, `who ${ruleText(plan, chosen.index)}`]];
}

function targetRows({ plan, group, target }: Found, green: (text: string) => string): Row[] {
  const found = group === null ? undefined : plan.groups[group];
  if (found === undefined) return [];
  const { targets, balance } = found;
  const rows: Row[] = [
    [targets.length > 1 ? "targets" : "target", green(formatDestination(found))],
  ];
  if (target !== null && targets.length > 1) {
    const why = balance === "source_hash" ? "this client's" : "the only one that is no backup";
    rows.push(["", `${target}, ${why}, while it is well`]);
  }
  if (!isHttpPlan(plan)) rows.push(...recoveryRows(found)); // of requests, the route has told of it
  rows.push(...ejectionRows(found));
  return rows;
}

/** What is not chosen, and why. */
function routeRows({ plan, routes }: Found): Row[] {
  return routes.flatMap(({ index, chosen, reason }): Row[] =>
    chosen ? [] : [[`${index + 1}  ${ruleText(plan, index)}`, reason ?? ""]],
  );
}

function ruleText(plan: ListenerPlan, index: number): string {
  if (isHttpPlan(plan)) return formatMatch(plan.routes[index]!.match);
  return "routes" in plan ? formatHelloRule(plan.routes[index]!) : "";
}

export function explanationJson(
  { listeners, found, nearest }: Explanation,
  question: Question,
): string {
  const shown = {
    question: { url: formatUrl(question), ...question },
    taken: found !== null && found.refused === null,
    nearest,
    listeners: listeners.map(({ listener, outcome, reason }) => ({ listener, outcome, reason })),
    found: found === null ? null : foundJson(found),
  };
  return JSON.stringify(shown, null, 2);
}

function foundJson({ plan, routes, group, ...rest }: Found): unknown {
  const { key, access, limits, timeouts } = plan;
  const chosen = routes.find((route) => route.chosen) ?? null;
  const route = chosen !== null && isHttpPlan(plan) ? plan.routes[chosen.index]! : null;
  return {
    listener: key,
    protocol: plan.protocol,
    ...rest,
    routes: routes.map((each) => ({ ...each, rule: ruleText(plan, each.index) })),
    route: route && { ...route, group: undefined },
    group: group === null ? null : plan.groups[group],
    access,
    limits: { ...limits, ...route?.limits },
    timeouts: { ...timeouts, ...route?.timeouts },
    proxyProtocol: "proxyProtocol" in plan ? plan.proxyProtocol : null,
    sendProxy: "sendProxy" in plan ? plan.sendProxy : null,
  };
}
