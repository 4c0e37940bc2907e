// Listeners, and what they counted: GET /api/listeners. Called by api.ts.

import type { z } from "zod";

import { formatSocketAddress } from "../../../shared/address.ts";
import {
  DURATIONS_MS,
  type HttpStats,
  type RequestStats,
  type RouteStats,
  type TargetStats,
} from "../../../shared/counters.ts";
import { isHttpPlan } from "../../../shared/http-plan.ts";
import type { Proxy } from "../../proxy.ts";
import type { Subject } from "../health.ts";
import * as schemas from "../schemas.ts";
import { operation, type Operations } from "./operation.ts";

export function listenerOperations(subject: Subject): Operations {
  return {
    "/api/listeners": {
      GET: operation(
        {
          summary: "Listeners and their targets, with what they counted.",
          answers: schemas.listeners,
        },
        () => listenersOf(subject.proxy),
      ),
    },
  };
}

export function listenersOf(proxy: Proxy | undefined): z.input<typeof schemas.listeners> {
  if (proxy === undefined) return [];
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
