// The grammar of what happens to requests: which route takes them, and how they and their answers are changed on the way. Part
// of schema.ts.

import { z } from "zod";

import { BOUNDS, HTTP3_DEFAULTS, HTTP_DEFAULTS } from "../shared/limits.ts";
import { METRICS } from "../shared/metrics-limits.ts";
import { RETRY_BUDGET } from "../shared/recovery-limits.ts";
import { addressBlock, choice, count, duration, flag, percent, text } from "./fields.ts";
import {
  fieldMatch,
  fieldName,
  fieldValue,
  hostPattern,
  method,
  origin,
  pathPattern,
  pathPrefix,
  redirectTarget,
} from "./http-fields.ts";
import { bounds } from "./schema-limits.ts";
import { destination } from "./schema-targets.ts";
import { formatDuration, formatPercent } from "./units.ts";

const fields = (description: string, of: string) =>
  z.record(z.string(), fieldValue(of)).meta({ description });

const headerEdit = z
  .strictObject({
    set: fields("Fields to set, replacing what is there.", "The field's value."),
    add: fields("Fields to add beside what is there.", "The field's value."),
    remove: z.array(fieldName("A field's name.")).min(1).meta({ description: "Fields to remove." }),
  })
  .partial();

/** One, or several of which any may fit. The result is a list. */
const anyOf = <T extends z.ZodType>(one: T, description: string) =>
  z
    .union([one, z.array(one).min(1)])
    .transform((value) => (Array.isArray(value) ? value : [value]) as z.output<T>[])
    .meta({ description });

const match = z
  .strictObject({
    host: anyOf(
      hostPattern("A host without port; *.example.com for every name below."),
      "The request's host, or several of which one fits.",
    ),
    path: anyOf(
      pathPattern("A path; a trailing * takes every path that begins so."),
      "The request's path, or several of which one fits.",
    ),
    methods: z
      .array(method())
      .min(1)
      .meta({ description: "The request's method is one of these." }),
    headers: z
      .record(z.string(), fieldMatch('The value that it has; "*": any.'))
      .meta({ description: "Fields that the request has." }),
  })
  .partial()
  .meta({ description: "Which requests; all of it must fit." });

const redirect = z
  .strictObject({
    to: redirectTarget(
      "Where to: a URL or a path. {host}, {path} (with query) and {scheme} stand for the request's; " +
        "a URL without a path gets the request's path and query.",
    ),
    status: z
      .literal([301, 302, 303, 307, 308])
      .meta({ description: "The answer's status.", default: HTTP_DEFAULTS.redirectStatus })
      .optional(),
  })
  .meta({ description: "The answer is a redirect, instead of a target's." });

const retries = z
  .strictObject({
    attempts: count(
      "Further attempts after the first; 0: none.",
      0,
      BOUNDS.retryAttemptsMax,
      HTTP_DEFAULTS.retryAttempts,
    ),
    on: z
      .array(z.union([z.literal("connect"), z.int().min(400).max(599)]))
      .min(1)
      .meta({
        description:
          "connect: no connection came about. A status: of an answer to an idempotent request.",
        default: ["connect"],
      }),
    budget: z
      .union([
        z.literal("off"),
        percent(
          "Of the requests of the last 10s, how many may be tried again; off: all of them.",
          formatPercent(RETRY_BUDGET.share),
        ),
      ])
      .meta({
        description: "How much of what was asked may be asked again for its answer's status.",
      }),
    min_per_second: count(
      "How many may be tried again each second, whatever the budget is.",
      0,
      1_000_000,
      RETRY_BUDGET.minPerSecond,
    ),
  })
  .partial()
  .meta({ description: "What is tried again, on another target where there is one." });

/** What is done to the requests of a route; of a listener, the default of its routes. */
export const treatment = {
  headers: z
    .strictObject({ request: headerEdit, response: headerEdit })
    .partial()
    .meta({ description: "Changes of header fields." })
    .optional(),
  rewrite: z
    .strictObject({
      strip_prefix: pathPrefix("Taken off the beginning of the path, if it is there."),
      add_prefix: pathPrefix("Put before what is left."),
    })
    .partial()
    .meta({ description: "A change of the path towards the target." })
    .optional(),
  redirect: redirect.optional(),
  retries: retries.optional(),
  compress: flag(
    "Answers are compressed (zstd, brotli, gzip) for clients that take it.",
    false,
  ).optional(),
  grpc_web: z
    .boolean()
    .meta({ description: "gRPC-Web is translated to gRPC; true where all targets are h2 or h2c." })
    .optional(),
  grpc_web_origins: z
    .array(origin('An origin, https://app.example.com, or "*" for any.'))
    .min(1)
    .meta({ description: "Origins of other hosts' pages that may call gRPC-Web here (CORS)." })
    .optional(),
  host: choice(
    ["client", "target"],
    "What targets are sent as Host: the client's, or their own address.",
    "client",
  ).optional(),
};

/** Of a listener only. */
export const gateway = {
  trusted: z
    .array(addressBlock())
    .meta({ description: "Proxies whose Forwarded and X-Forwarded-* are believed." })
    .optional(),
  forwarded: z
    .strictObject({
      x_forwarded: flag("X-Forwarded-For, -Proto, -Host and -Port, and X-Real-IP.", true),
      rfc7239: flag("Forwarded (RFC 7239).", false),
      via: flag(
        "Via (RFC 9110). Without gzip_proxied, nginx does not compress for requests that have it.",
        false,
      ),
      request_id: flag("X-Request-Id, made if there is none.", true),
    })
    .partial()
    .meta({ description: "Fields that targets are sent besides the client's." })
    .optional(),
  client_subject_header: fieldName(
    "The field in which targets are sent the subject of the client's certificate.",
  ).optional(),
};

/** Of http3, early_data of quic too. */
export const overQuic = {
  tcp: flag("Of http3: the same port over TCP, as http2. false: over QUIC alone.", true).optional(),
  alt_svc: duration(
    "Of http3: for how long clients that come over TCP may remember it (Alt-Svc); 0: they are not told.",
    {
      max: BOUNDS.altSvcMaxMs,
      default: formatDuration(HTTP3_DEFAULTS.altSvcMs),
      zeroIsOff: true,
    },
  ).optional(),
  early_data: flag(
    "Requests (of safe methods) or streams of returning clients before their handshake is over (0-RTT). They can be replayed.",
    false,
  ).optional(),
};

export const routes = z
  .array(
    z.strictObject({
      name: z
        .string()
        .min(1)
        .max(METRICS.nameMax)
        .meta({ description: "What metrics call it; by default what it matches. May be shared." })
        .optional(),
      sni: text("The TLS server name; *.example.com for every name below.").optional(),
      alpn: z
        .array(text("A protocol's name."))
        .min(1)
        .meta({ description: "Protocols; fits a TLS client that offers one of them." })
        .optional(),
      match: match.optional(),
      ...destination,
      ...treatment,
      ...bounds,
    }),
  )
  .min(1)
  .meta({ description: "Rules in order; the first that fits decides." });

export type RouteConfig = z.output<typeof routes>[number];
export type Bounds = Pick<RouteConfig, keyof typeof bounds>;
export type Treatment = Pick<RouteConfig, keyof typeof treatment>;
