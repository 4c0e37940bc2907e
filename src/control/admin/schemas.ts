// What the admin listener's API takes and answers: the schemas from which come its types and its OpenAPI document. Called by
// api.ts and openapi.ts.

import { z } from "zod";

import { LOG_LEVELS } from "../../config/schema.ts";

const count = z.number();
const time = z.number().meta({ description: "Unix time in milliseconds." });
const listener = z.string().meta({ description: "Protocol and address as configured: tcp :8080." });

export const failure = z.object({ error: z.string() });

export const status = z.object({
  version: z.string(),
  pid: count,
  phase: z.enum(["starting", "serving", "draining"]),
  ready: z.boolean(),
  reasons: z.array(z.string()).meta({ description: "Why it is not ready." }),
  warnings: z.array(z.string()),
  uptimeSeconds: count,
  engine: z.string().nullable().meta({ description: "null: no listener needs one." }),
  workers: z.array(z.object({ index: count, kind: z.enum(["relay", "gateway"]) })),
  workerRestarts: count,
  connections: count,
  reloads: z.object({ taken: count, refused: count, lastTakenMs: time }),
});

const target = z.object({
  name: z.string(),
  connects: count,
  failures: count,
  active: count,
  bytesUp: count,
  bytesDown: count,
});

export const listeners = z.array(
  z.object({
    key: listener,
    protocol: z.string(),
    addresses: z.array(z.string()),
    workers: z.array(count).meta({ description: "Those that accept on it." }),
    connections: z.object({ total: count, active: count }),
    bytes: z.object({ up: count, down: count }),
    refused: z.record(z.string(), count),
    targets: z.array(target),
  }),
);

const connection = z.object({
  worker: count,
  id: count.meta({ description: "With the worker, the name of the connection." }),
  listener,
  client: z.string(),
  target: z.string(),
  startedMs: time,
  activeMs: time,
  bytesUp: count,
  bytesDown: count,
});

export const connections = z.object({
  matching: count.meta({ description: "How many there are, whatever the limit." }),
  connections: z.array(connection),
});

const whole = z.coerce.number().int().min(0);

/** Of connections: all that are given must fit. */
export const filter = z.strictObject({
  listener: z.string().optional(),
  client: z.string().optional().meta({ description: "The beginning of its address: 192.0.2." }),
  target: z.string().optional().meta({ description: "The beginning of its address." }),
  worker: whole.optional(),
  id: whole.optional().meta({ description: "Only together with worker." }),
});

export const listFilter = filter.extend({
  limit: whole.max(10_000).default(1_000).meta({ description: "The most that are listed." }),
});

export const closed = z.object({ closed: count });

export const certificates = z.object({
  managed: z.array(
    z.object({
      names: z.array(z.string()),
      state: z.enum(["valid", "expired", "missing"]),
      authority: z.string().nullable(),
      notAfterMs: time.nullable(),
      daysLeft: count.nullable(),
      nextAttemptMs: time,
      failures: count,
      lastFailure: z.string().nullable(),
    }),
  ),
  files: z.array(z.object({ listener, names: z.array(z.string()), notAfterMs: time })),
});

export const reloaded = z.object({
  added: z.array(listener),
  removed: z.array(listener),
  changed: z.array(z.object({ listener, parts: z.array(z.string()) })),
  unchanged: count,
  settings: z.array(z.string()),
  deferred: z.array(z.string()).meta({ description: "Keys that an upgrade takes up." }),
});

export const logLevel = z.strictObject({ level: z.enum(LOG_LEVELS) });
