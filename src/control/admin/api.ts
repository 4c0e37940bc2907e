// The API of the admin listener: each path with what it takes, what it answers and how. Everything that it answers is made to
// fit its schema, which the compiler checks. Called by admin.ts.

import { z } from "zod";

import manifest from "../../../package.json" with { type: "json" };
import { formatSocketAddress } from "../../shared/address.ts";
import {
  DURATIONS_MS,
  type HttpStats,
  type RequestStats,
  type RouteStats,
  type TargetStats,
} from "../../shared/counters.ts";
import { isHttpPlan } from "../../shared/http-plan.ts";
import type { LogLevel } from "../../shared/plan.ts";
import type { PlanDiff } from "../diff.ts";
import type { Proxy, ProxyConnection } from "../proxy.ts";
import type { ReloadOutcome } from "../reloader.ts";
import { type Answer, failure, json, type Question } from "./answer.ts";
import { readinessOf, type Subject } from "./health.ts";
import * as schemas from "./schemas.ts";

/** What the API can have done. */
export interface Controls {
  readonly reload: () => Promise<ReloadOutcome>;
  readonly setLevel: (level: LogLevel) => void;
}

export interface Operation {
  readonly summary: string;
  /** Of the query; none: it takes none. */
  readonly query?: z.ZodObject;
  /** Of the body, JSON; none: it takes none. */
  readonly body?: z.ZodType;
  readonly answers: z.ZodType;
  run(input: { query: unknown; body: unknown }): Answer | Promise<Answer>;
}

/** By path and method. */
export type Operations = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

function operation<Q extends z.ZodObject, B extends z.ZodType, A extends z.ZodType>(
  given: Readonly<{ summary: string; query?: Q; body?: B; answers: A }>,
  run: (input: { query: z.output<Q>; body: z.output<B> }) => z.input<A> | Promise<z.input<A>>,
): Operation {
  return {
    ...given,
    run: async (input) => {
      const answer = await run(input as { query: z.output<Q>; body: z.output<B> });
      return isRefusal(answer) ? failure(answer.status, answer.reason) : json(200, answer);
    },
  };
}

/** An operation that could not be done. */
class Refusal {
  readonly status: number;
  readonly reason: string;
  constructor(status: number, reason: string) {
    this.status = status;
    this.reason = reason;
  }
}

const isRefusal = (value: unknown): value is Refusal => value instanceof Refusal;
const refusal = (status: number, reason: string): never =>
  new Refusal(status, reason) as unknown as never;

export function operationsOf(subject: Subject, controls: Controls): Operations {
  const connections = (): ProxyConnection[] => subject.proxy?.connections() ?? [];
  return {
    "/api/status": {
      GET: operation({ summary: "What the proxy is and how it is.", answers: schemas.status }, () =>
        statusOf(subject),
      ),
    },
    "/api/listeners": {
      GET: operation(
        {
          summary: "Listeners and their targets, with what they counted.",
          answers: schemas.listeners,
        },
        () => (subject.proxy === undefined ? [] : listenersOf(subject.proxy)),
      ),
    },
    "/api/connections": {
      GET: operation(
        { summary: "Live connections.", query: schemas.listFilter, answers: schemas.connections },
        ({ query: { limit, ...filter } }) => {
          const fitting = connections().filter((each) => fits(each, filter));
          return { matching: fitting.length, connections: fitting.slice(0, limit).map(shown) };
        },
      ),
      DELETE: operation(
        { summary: "Resets connections.", query: schemas.filter, answers: schemas.closed },
        ({ query }) => {
          if (Object.keys(query).length === 0) {
            return refusal(400, "say which: listener, client, target, or worker and id");
          }
          const fitting = connections().filter((each) => fits(each, query));
          for (const { worker, id } of fitting) subject.proxy?.disconnect(worker, id);
          return { closed: fitting.length };
        },
      ),
    },
    "/api/certificates": {
      GET: operation(
        { summary: "Certificates, and when they end.", answers: schemas.certificates },
        () => certificatesOf(subject),
      ),
    },
    "/api/reload": {
      POST: operation(
        {
          summary: "Reads the configuration again, and tells what was different.",
          answers: schemas.reloaded,
        },
        async () => {
          const outcome = await controls.reload();
          return "error" in outcome ? refusal(422, outcome.error) : changesOf(outcome.diff);
        },
      ),
    },
    "/api/log-level": {
      POST: operation(
        { summary: "Until the next reload.", body: schemas.logLevel, answers: schemas.logLevel },
        ({ body }) => {
          controls.setLevel(body.level);
          return body;
        },
      ),
    },
  };
}

/** @returns the answer, or what is wrong with the question. */
export function perform(operation_: Operation, question: Question): Answer | Promise<Answer> {
  const { query, body } = operation_;
  const given = Object.fromEntries(question.query);
  const parsedQuery = (query ?? z.strictObject({})).safeParse(given);
  if (!parsedQuery.success) return failure(400, z.prettifyError(parsedQuery.error));
  if (body === undefined) return operation_.run({ query: parsedQuery.data, body: undefined });
  const parsedBody = body.safeParse(parseJson(question.body));
  if (!parsedBody.success) return failure(400, z.prettifyError(parsedBody.error));
  return operation_.run({ query: parsedQuery.data, body: parsedBody.data });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the schema says what belongs there
  }
}

function statusOf(subject: Subject): z.input<typeof schemas.status> {
  const { phase, proxy, reloads } = subject;
  const { reasons, warnings } = readinessOf(subject);
  return {
    version: manifest.version,
    pid: process.pid,
    phase,
    ready: reasons.length === 0,
    reasons: [...reasons],
    warnings: [...warnings],
    uptimeSeconds: process.uptime(),
    engine: proxy === undefined || proxy.workers().length === 0 ? null : proxy.engine,
    workers: (proxy?.workers() ?? []).map(({ index, kind }) => ({ index, kind })),
    workerRestarts: proxy?.stats().workerRestarts ?? 0,
    connections: proxy?.connections().length ?? 0,
    reloads: { ...reloads },
  };
}

function listenersOf(proxy: Proxy): z.input<typeof schemas.listeners> {
  const { listeners } = proxy.stats();
  const summaries = new Map(proxy.listeners().map((summary) => [summary.key, summary]));
  return proxy.plan.listeners.flatMap((plan) => {
    const { key, protocol } = plan;
    const stats = listeners[key];
    const summary = summaries.get(key);
    if (stats === undefined || summary === undefined) return [];
    return {
      key,
      protocol: protocol === "link" ? "tcp" : protocol,
      addresses: summary.bound.map(formatSocketAddress),
      workers: [...summary.workers],
      connections: { total: stats.total, active: stats.active },
      bytes: { up: stats.bytesUp, down: stats.bytesDown },
      refused: stats.refused,
      http: isHttpPlan(plan) ? httpOf(stats.http) : null,
      routes: stats.routes.map(routeOf),
      targets: stats.targets.map(trafficOf),
    };
  });
}

function trafficOf(stats: TargetStats): schemas.ListenerState["targets"][number] {
  const { name, connects, failures, active, bytesUp, bytesDown } = stats;
  return { name, connects, failures, active, bytesUp, bytesDown };
}

function routeOf(stats: RouteStats): schemas.ListenerState["routes"][number] {
  const { name, requests, answers, unanswered } = stats;
  return { route: name, requests, answers, unanswered, durations: durationsOf(stats) };
}

function httpOf(stats: HttpStats): NonNullable<schemas.ListenerState["http"]> {
  const { requests, active, answers, unanswered, retries } = stats;
  return { requests, active, answers, unanswered, retries, durations: durationsOf(stats) };
}

function durationsOf({ took, totalMs }: RequestStats) {
  const counts = [...DURATIONS_MS, Infinity].map((ms) => took[ms]!);
  return { boundsMs: [...DURATIONS_MS], counts, totalMs };
}

function fits(connection: ProxyConnection, filter: z.output<typeof schemas.filter>): boolean {
  const { listener, client, target, worker, id } = filter;
  return (
    (listener === undefined || connection.listener === listener) &&
    (client === undefined || connection.client.startsWith(client)) &&
    (target === undefined || connection.target.startsWith(target)) &&
    (worker === undefined || connection.worker === worker) &&
    (id === undefined || (worker !== undefined && connection.id === id))
  );
}

function shown(
  connection: ProxyConnection,
): z.input<typeof schemas.connections>["connections"][number] {
  const { worker, id, listener, client, target, startedMs, activeMs, bytesUp, bytesDown } =
    connection;
  return { worker, id, listener, client, target, startedMs, activeMs, bytesUp, bytesDown };
}

function certificatesOf({ proxy }: Subject): z.input<typeof schemas.certificates> {
  return {
    managed: (proxy?.certificates() ?? []).map((each) => ({
      names: [...each.names],
      state: each.state,
      authority: each.authority,
      notAfterMs: each.notAfterMs,
      daysLeft: each.daysLeft,
      nextAttemptMs: each.nextAttemptMs,
      failures: each.failures,
      lastFailure: each.lastFailure?.reason ?? null,
    })),
    files: (proxy?.certificateFiles() ?? []).map((each) => ({ ...each, names: [...each.names] })),
  };
}

function changesOf(diff: PlanDiff): z.input<typeof schemas.reloaded> {
  return {
    added: diff.added.map(({ key }) => key),
    removed: diff.removed.map(({ key }) => key),
    changed: diff.changed.map(({ after, parts }) => ({ listener: after.key, parts: [...parts] })),
    unchanged: diff.unchanged.length,
    settings: [...diff.settings],
    deferred: [...diff.deferred],
  };
}
