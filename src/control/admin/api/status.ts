// What the proxy is and how it is: GET /api/status. Called by api.ts.

import type { z } from "zod";

import manifest from "../../../../package.json" with { type: "json" };
import { readinessOf, type Subject } from "../health.ts";
import { leftOut } from "../left-out.ts";
import * as schemas from "../schemas.ts";
import { operation, type Operations } from "./operation.ts";
import { targetsOf } from "./targets.ts";

export function statusOperations(subject: Subject): Operations {
  return {
    "/api/status": {
      GET: operation({ summary: "What the proxy is and how it is.", answers: schemas.status }, () =>
        statusOf(subject),
      ),
    },
  };
}

export function statusOf(subject: Subject): z.input<typeof schemas.status> {
  const { phase, proxy, reloads, logLevel } = subject;
  const { reasons, warnings } = readinessOf(subject);
  return {
    version: manifest.version,
    pid: process.pid,
    phase,
    ready: reasons.length === 0,
    reasons: [...reasons],
    warnings: [...warnings, ...leftOut(targetsOf(proxy))],
    uptimeSeconds: process.uptime(),
    engine: proxy === undefined || proxy.workers().length === 0 ? null : proxy.engine,
    workers: (proxy?.workers() ?? []).map(({ index, kind }) => ({ index, kind })),
    workerRestarts: proxy?.stats().workerRestarts ?? 0,
    connections: proxy?.live.count() ?? 0,
    reloads: { ...reloads },
    logLevel,
  };
}
