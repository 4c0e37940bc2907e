// What the admin listener's API takes and answers: the schemas from which come its types and its OpenAPI document. Called by
// api.ts and openapi.ts.

import { z } from "zod";

import { LOG_LEVELS } from "../../config/schema.ts";
import { STATUS_CLASSES } from "../../shared/counters.ts";
import { ADMIN, TARGET_WEIGHT_MAX } from "../../shared/limits.ts";
import { TARGET_MODES } from "../../shared/messages.ts";
import { TARGET_STATES } from "../../shared/target-states.ts";

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
  logLevel: z
    .enum(LOG_LEVELS)
    .meta({ description: "Of the log: as configured, or as it was set." }),
});

const traffic = {
  connects: count,
  failures: count.meta({ description: "Attempts to connect that failed." }),
  active: count,
  bytesUp: count,
  bytesDown: count,
};

const durations = z
  .object({
    boundsMs: z.array(count).meta({ description: "The most that an answer of each bucket took." }),
    counts: z
      .array(count)
      .meta({ description: "Answers by bucket; the last is beyond all bounds." }),
    totalMs: count,
  })
  .meta({ description: "From a request's head to the end of its answer." });

const http = z.object({
  requests: count.meta({ description: "Requests that began." }),
  active: count,
  answers: z.record(z.enum(STATUS_CLASSES), count),
  unanswered: count.meta({ description: "Requests whose client was gone before the answer." }),
  retries: count,
  durations,
});

const httpRoute = z.object({
  route: z.string().meta({ description: "The route as metrics name it." }),
  requests: count.meta({ description: "Requests that began." }),
  answers: z.record(z.enum(STATUS_CLASSES), count),
  unanswered: count,
  durations,
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
    http: http.nullable().meta({ description: "null: it forwards no requests." }),
    routes: z.array(httpRoute).meta({ description: "Of HTTP; otherwise empty." }),
    targets: z.array(z.object({ name: z.string(), ...traffic })),
  }),
);

const mode = z.enum(TARGET_MODES).meta({
  description:
    "draining: no new connections and requests, those under way go on. disabled: those under way are reset, too.",
});
const weight = z.int().min(0).max(TARGET_WEIGHT_MAX);

export const target = z.object({
  listener,
  slot: count.meta({ description: "Tells it from others with its name, in other groups." }),
  route: z.string().nullable().meta({ description: "What leads to it; null: no route is asked." }),
  group: z.string().meta({ description: "Its group's number within the listener." }),
  name: z.string().meta({ description: "Its address, with the name that it came from." }),
  configured: z.string().meta({ description: "As configured: all addresses of a name share it." }),
  weight: count.meta({ description: "0: no new clients while others can be had." }),
  configuredWeight: count,
  backup: z.boolean(),
  state: mode,
  health: z.enum(TARGET_STATES).meta({ description: "The worst that any worker sees." }),
  states: z
    .record(z.enum(TARGET_STATES), count)
    .meta({ description: "How many workers see it so." }),
  ejections: count,
  ...traffic,
});

export const targets = z.array(target);

export const changedTarget = target.extend({
  alike: count.meta({ description: "How many addresses, of how many routes, it holds for." }),
});

export const targetFilter = z.strictObject({ listener: z.string().optional() });

/** What an operator wants of a target; what is not given stays. */
export const targetChange = z.strictObject({
  listener: z.string().meta({ description: "Its key: tcp :8080." }),
  target: z.string().meta({
    description: "Its name, or as it is configured: then all its addresses, also those to come.",
  }),
  state: mode.optional(),
  weight: weight.nullable().optional().meta({ description: "null: as configured." }),
});

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

export const config = z.object({
  path: z.string().nullable().meta({ description: "null: there are only flags." }),
  text: z.string().meta({ description: "What is served, as `proxy check` prints it." }),
  loadedMs: time,
  refusal: z.string().nullable().meta({ description: "Why the file as it is now is not served." }),
});

const event = z.object({
  timeMs: time,
  level: z.enum(["warn", "error"]),
  message: z.string(),
  fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
});

const events_ = z.array(event).meta({ description: "Newest first." });
export const events = z.object({ events: events_ });

export const eventFilter = z.strictObject({
  limit: whole.max(ADMIN.eventsMax).default(ADMIN.eventsMax).meta({ description: "The most." }),
});

export const reloads = z
  .array(
    z.object({
      atMs: time,
      cause: z.enum(["signal", "file", "api", "start"]),
      taken: z.boolean(),
      error: z.string().nullable(),
      changes: reloaded
        .nullable()
        .meta({ description: "null: it was not taken, or is the start." }),
    }),
  )
  .meta({ description: "Newest first." });

const machinery = z.object({
  memoryBytes: count,
  cpuSeconds: count.meta({ description: "Since the start, of all threads." }),
  lagMs: count.meta({ description: "How late timers are, in the worst thread's last second." }),
  descriptors: z.object({ open: count.nullable(), max: count.nullable() }),
  overloaded: z
    .array(z.string())
    .meta({ description: "Why new work is turned away; empty: none is." }),
});

/** Of the stream: everything that a page shows, once a second. */
export const snapshot = z.object({
  timeMs: time,
  status,
  listeners,
  targets,
  certificates,
  connections: connections.meta({
    description: "Those that moved most bytes since the snapshot before, most first.",
  }),
  events: events_,
  reloads,
  process: machinery,
});

export type Status = z.output<typeof status>;
export type ListenerState = z.output<typeof listeners>[number];
export type TargetState = z.output<typeof target>;
export type Connections = z.output<typeof connections>;
export type Certificates = z.output<typeof certificates>;
export type Changes = z.output<typeof reloaded>;
export type Configuration = z.output<typeof config>;
export type LogEvent = z.output<typeof event>;
export type ReloadEntry = z.output<typeof reloads>[number];
export type Snapshot = z.output<typeof snapshot>;

export const logLevel = z.strictObject({ level: z.enum(LOG_LEVELS) });
