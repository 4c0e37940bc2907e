// The whole grammar of the configuration: one zod schema gives the types, the checks and the JSON Schema for editors.
// Invariant: it knows only what can be seen in one value; what spans several values is in relations.ts, and what this
// version does not carry out yet in availability.ts. No default is filled in here: compile.ts does that.

import { z } from "zod";

import { BOUNDS, PROXY_DEFAULTS, RING_DEFAULTS } from "../shared/limits.ts";
import { metricsPrefix } from "./admin.ts";
import { addressBlock, choice, flag, listenAddress, size, targetAddress, text } from "./fields.ts";
import { autoTls, options } from "./schema-auto-tls.ts";
import { gateway, overQuic, routes, treatment } from "./schema-http.ts";
import { backpressure, limits, socket, timeout, timeouts } from "./schema-limits.ts";
import { overload } from "./schema-overload.ts";
import { quic } from "./schema-quic.ts";
import { destination } from "./schema-targets.ts";
import { tls } from "./schema-tls.ts";
import { formatSize } from "./units.ts";

export const PROTOCOLS = ["tcp", "tls", "http", "http2", "http3", "quic", "udp"] as const;
export const PRESETS = ["server", "client", "high_throughput"] as const;
export const ENGINES = ["auto", "uring", "epoll", "bun"] as const;
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export const LOG_FORMATS = ["auto", "pretty", "json"] as const;
const proxyProtocol = z
  .strictObject({
    accept: choice(["off", "v1", "v2", "any"], "What clients send.", "off"),
    send: choice(["off", "v1", "v2"], "What targets are sent.", "off"),
    trusted: z.array(addressBlock()).meta({
      description: "Proxies whose header is believed; nobody else is admitted.",
    }),
  })
  .partial()
  .meta({ description: "The PROXY protocol, which carries the client's address." });

/** In the spelling of keys, and in that of flags. */
const preset = choice(
  [...PRESETS, "high-throughput"],
  "A set of values for a purpose; keys given beside it win.",
).transform((name) => (name === "high-throughput" ? "high_throughput" : name));

export const protocolSchema = z
  .strictObject({
    name: choice(PROTOCOLS, "What the listener speaks."),
    listen: listenAddress("Where to listen."),
    ...destination,
    enabled: flag("false: checked, but not opened.", true).optional(),
    preset: preset.optional(),
    limits: limits.optional(),
    timeouts: timeouts.optional(),
    socket: socket.optional(),
    backpressure: backpressure.optional(),
    tls: tls.meta({ description: "Over the top level's tls, key by key." }).optional(),
    routes: routes.optional(),
    ...treatment,
    ...gateway,
    ...overQuic,
    allow: z.array(addressBlock()).meta({ description: "Clients that may connect." }).optional(),
    deny: z.array(addressBlock()).meta({ description: "Clients that may not connect." }).optional(),
    proxy_protocol: proxyProtocol.optional(),
    mirror: z
      .strictObject({ target: targetAddress("Where the copy goes.") })
      .meta({
        description:
          "A copy of what clients send. Where it does not keep up it is cut off, and the rest counted as dropped.",
      })
      .optional(),
    alpn: z
      .array(text("A protocol's name."))
      .min(1)
      .meta({
        description: "ALPN names that are agreed to, best first; of quic, quic-proxy by default.",
      })
      .optional(),
    quic: quic.optional(),
  })
  .meta({ description: "A listener, and where its bytes or requests go." });

const ring = z
  .strictObject({
    buffer_size: size("What one receive takes at most.", {
      min: BOUNDS.ringBufferMin,
      max: BOUNDS.ringBufferMax,
      default: formatSize(RING_DEFAULTS.bufferBytes),
    }),
    buffer_memory: size("For all buffers of a worker, at most; taken only as far as it is used.", {
      min: BOUNDS.ringMemoryMin,
      max: BOUNDS.ringMemoryMax,
      default: formatSize(RING_DEFAULTS.buffers * RING_DEFAULTS.bufferBytes),
    }),
  })
  .partial()
  .meta({ description: "What the uring engine receives into." });

export const schema = z
  .strictObject({
    version: z
      .literal(["1.0", "1", 1])
      .meta({ description: "The version of this grammar.", default: "1.0" }),
    log_level: choice(LOG_LEVELS, "The least that is logged.", PROXY_DEFAULTS.logLevel),
    log_format: choice(LOG_FORMATS, "auto: pretty on a terminal, json otherwise.", "auto"),
    access_log: text("Of requests: off, - for the standard output, or a path.", { default: "off" }),
    access_log_format: choice(["json", "combined"], "How requests are logged.", "json"),
    workers: z
      .union([z.literal("auto"), z.int().min(1).max(BOUNDS.workersMax)])
      .meta({ description: "Data plane threads; auto: one for each CPU.", default: "auto" }),
    engine: choice(ENGINES, "What moves the bytes; auto: the fastest that runs here.", "auto"),
    uring: ring,
    shutdown_timeout: timeout(
      "How long connections may go on after a stop was asked for.",
      PROXY_DEFAULTS.shutdownTimeoutMs,
      0,
    ),
    shutdown_delay: timeout(
      "After a stop was asked for, clients are still taken for so long, while /readyz says that they should go elsewhere.",
      PROXY_DEFAULTS.shutdownDelayMs,
      0,
    ),
    overload,
    admin: z
      .strictObject({
        listen: listenAddress("Where to listen; other than loopback needs a token."),
        token_file: text("A file that holds the token.").optional(),
        metrics_prefix: metricsPrefix("What the names of metrics begin with.").optional(),
      })
      .meta({ description: "Where the proxy tells about itself: /livez, /readyz and /metrics." }),
    tls: tls.meta({ description: "The default of every TLS listener." }),
    auto_tls: autoTls,
    protocols: z.array(protocolSchema).meta({ description: "The listeners." }),
    options,
  })
  .partial()
  .required({ protocols: true })
  .meta({ title: "bun-tunnel configuration" });

/** A configuration that passed the grammar: milliseconds, bytes and parsed addresses; absent keys are absent. */
export type Config = z.output<typeof schema>;
export type ProtocolConfig = Config["protocols"][number];

/** JSON Schema (draft 2020-12) of what people write, for editors. */
export function jsonSchema(): object {
  return z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    // zod leaves out the default and the examples of a field that converts, since they may be of the converted type.
    override: ({ zodSchema, jsonSchema: shown }) => {
      const { default: fallback, examples } = (z.globalRegistry.get(zodSchema) ?? {}) as Record<
        string,
        unknown
      >;
      if (fallback !== undefined) shown.default = fallback as never;
      if (examples !== undefined) shown.examples = examples as never;
    },
  });
}
