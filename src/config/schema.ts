// The whole grammar of the configuration: one zod schema gives the types, the checks and the JSON Schema for editors.
// Invariant: it knows only what can be seen in one value; what spans several values is in relations.ts, and what this
// version does not carry out yet in availability.ts. No default is filled in here: compile.ts does that.

import { z } from "zod";

import {
  BOUNDS,
  HEALTH_DEFAULTS,
  LISTENER_DEFAULTS,
  PROXY_DEFAULTS,
  RING_DEFAULTS,
  UDP_DEFAULTS,
} from "../shared/limits.ts";
import {
  addressBlock,
  byteRate,
  choice,
  count,
  duration,
  eventRate,
  flag,
  listenAddress,
  quotedBoolean,
  size,
  targetAddress,
  text,
} from "./fields.ts";
import { formatDuration, formatSize } from "./units.ts";

export const PROTOCOLS = ["tcp", "tls", "http", "http2", "http3", "quic", "udp"] as const;
export const PRESETS = ["server", "client", "high_throughput"] as const;
export const ENGINES = ["auto", "uring", "epoll", "bun"] as const;
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export const LOG_FORMATS = ["auto", "pretty", "json"] as const;
export const DNS_PROVIDERS = [
  "cloudflare",
  "alidns",
  "route53",
  "digitalocean",
  "godaddy",
] as const;

const DEFAULTS = LISTENER_DEFAULTS;
const timeout = (description: string, fallbackMs: number, min: number, zeroIsOff = false) =>
  duration(description, {
    min,
    max: BOUNDS.timeoutMaxMs,
    default: formatDuration(fallbackMs),
    zeroIsOff,
  });
const socketBuffer = (option: string) =>
  size(`${option} of every connection; the system's own value by default.`, {
    min: BOUNDS.socketBufferMin,
    max: BOUNDS.socketBufferMax,
  });
const watermark = (description: string, fallback: number) =>
  size(description, {
    min: BOUNDS.watermarkMin,
    max: BOUNDS.watermarkMax,
    default: formatSize(fallback),
  });

const limits = z
  .strictObject({
    max_connections: count(
      "Connections at once over all workers; 0: as many as descriptors allow.",
      0,
      BOUNDS.maxConnectionsMax,
      DEFAULTS.maxConnections,
    ),
    max_sessions: count(
      "Of udp: sessions at once over all workers, one for each client address; the same as max_connections there.",
      0,
      BOUNDS.maxConnectionsMax,
      UDP_DEFAULTS.maxConnections,
    ),
    max_per_ip: count(
      "Connections at once from one client address; 0: no limit.",
      0,
      BOUNDS.maxConnectionsMax,
      DEFAULTS.maxPerIp,
    ),
    accept_rate: eventRate("New connections each second."),
    bandwidth: byteRate("Bytes each second, of all connections and both directions together."),
    connection_bandwidth: byteRate(
      "Bytes each second of each connection, both directions together.",
    ),
  })
  .partial()
  .meta({
    description:
      "What a listener admits. Clients beyond a limit are turned away, counted and logged; bytes beyond one wait.",
  });

const timeouts = z
  .strictObject({
    connect: timeout("For reaching the target, over all of its addresses.", DEFAULTS.connectMs, 1),
    idle: timeout(
      "A connection on which no byte moves either way for this long is reset; 0: never. " +
        `A session of udp is over, after ${formatDuration(UDP_DEFAULTS.idleMs)} by default.`,
      DEFAULTS.idleMs,
      0,
      true,
    ),
    client_hello: timeout("For the client's first TLS message.", DEFAULTS.clientHelloMs, 1),
    lifetime: timeout(
      "A connection is reset after this long, whatever it does; 0: never.",
      DEFAULTS.lifetimeMs,
      0,
      true,
    ),
  })
  .partial()
  .meta({ description: "How long each step may take." });

const socket = z
  .strictObject({
    nodelay: flag("TCP_NODELAY: small messages leave at once.", DEFAULTS.nodelay),
    quickack: flag(
      "TCP_QUICKACK (Linux): every message is acknowledged at once.",
      DEFAULTS.quickack,
    ),
    fastopen: flag(
      "TCP_FASTOPEN: data in the first packet, where the system allows it.",
      DEFAULTS.fastopen,
    ),
    keepalive: duration(
      "Idle time before, and interval between, keepalive probes, in whole seconds; 0: off.",
      {
        max: BOUNDS.keepaliveMaxSeconds * 1_000,
        zeroIsOff: true,
        default: formatDuration(DEFAULTS.keepaliveSeconds * 1_000),
      },
    ),
    send_buffer: socketBuffer("SO_SNDBUF"),
    receive_buffer: socketBuffer("SO_RCVBUF"),
    notsent_lowat: size(
      "TCP_NOTSENT_LOWAT (Linux, macOS): unsent bytes that the system queues at most; 16KB on macOS by default.",
      {
        min: 1,
        max: BOUNDS.socketBufferMax,
      },
    ),
  })
  .partial()
  .meta({ description: "Socket options of both sides." });

const backpressure = z
  .strictObject({
    high_watermark: watermark(
      "A direction that holds this many undelivered bytes stops reading.",
      DEFAULTS.highWatermarkBytes,
    ),
    low_watermark: watermark(
      "It reads again at this many. Half of high_watermark if only that is given.",
      DEFAULTS.lowWatermarkBytes,
    ),
  })
  .partial()
  .meta({ description: "What a connection may hold when its reader is slower than its writer." });

const target = targetAddress("Where to forward to.");

const targets = z
  .array(
    z.union([
      target,
      z.strictObject({
        address: targetAddress("Where to forward to."),
        weight: count(
          "Share of the connections, relative to the other targets.",
          1,
          1_000,
          1,
        ).optional(),
        backup: flag("Used only while every other target is down.", false).optional(),
      }),
    ]),
  )
  .min(1)
  .meta({ description: "Several targets, among which `balance` chooses." });

const balance = choice(
  ["round_robin", "least_connections", "random", "source_hash"],
  "How a target is chosen.",
  "round_robin",
);

const health = z
  .strictObject({
    type: choice(["tcp", "http"], "What a probe does: connect, or ask for a page.", "tcp"),
    path: text("Of type http: what is asked for.", { default: HEALTH_DEFAULTS.path }),
    expect: z.array(z.int().min(100).max(599)).min(1).meta({
      description: "Of type http: the statuses of a target that is well; 2xx and 3xx by default.",
    }),
    interval: timeout("Between two probes.", HEALTH_DEFAULTS.intervalMs, 10),
    timeout: timeout("For one probe.", HEALTH_DEFAULTS.timeoutMs, 1),
    rise: count("Successes in a row that bring a target back.", 1, 1_000, HEALTH_DEFAULTS.rise),
    fall: count("Failures in a row that take a target out.", 1, 1_000, HEALTH_DEFAULTS.fall),
  })
  .partial()
  .meta({ description: "Probes that find out which targets are up." });

const headerEdit = z
  .strictObject({
    set: z
      .record(z.string().min(1), z.string())
      .meta({ description: "Fields to set, replacing what is there." }),
    remove: z.array(text("A field's name.")).meta({ description: "Fields to remove." }),
  })
  .partial();

const routes = z
  .array(
    z.strictObject({
      sni: text("The TLS server name; *.example.com for every name below.").optional(),
      alpn: z
        .array(text("A protocol's name."))
        .min(1)
        .meta({ description: "Protocols; fits a TLS client that offers one of them." })
        .optional(),
      match: z
        .strictObject({
          host: text("The request's host; *.example.com for every name below."),
          path: text("The request's path; a trailing * takes every path that begins so."),
        })
        .partial()
        .optional(),
      target: target.optional(),
      targets: targets.optional(),
      balance: balance.optional(),
      health: health.optional(),
      headers: z.strictObject({ request: headerEdit, response: headerEdit }).partial().optional(),
      retries: z
        .strictObject({
          attempts: count("Further attempts after the first.", 0, 10),
          on: z.array(z.union([z.literal("connect"), z.int().min(400).max(599)])),
        })
        .partial()
        .optional(),
      redirect: z
        .strictObject({
          to: text("Where to."),
          status: z
            .literal([301, 302, 303, 307, 308])
            .meta({ description: "The answer's status.", default: 308 })
            .optional(),
        })
        .optional(),
    }),
  )
  .min(1)
  .meta({ description: "Rules in order; the first that fits decides." });

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
    target: target.optional(),
    enabled: flag("false: checked, but not opened.", true).optional(),
    preset: preset.optional(),
    limits: limits.optional(),
    timeouts: timeouts.optional(),
    socket: socket.optional(),
    backpressure: backpressure.optional(),
    targets: targets.optional(),
    balance: balance.optional(),
    health: health.optional(),
    routes: routes.optional(),
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
      .meta({ description: "ALPN names that are offered." })
      .optional(),
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

const tls = z
  .strictObject({
    cert_file: text("The certificate chain, PEM."),
    key_file: text("The private key, PEM."),
    ca_file: text("CAs of client certificates, PEM; asks for client certificates."),
    client_auth: choice(["none", "request", "require"], "Client certificates.", "none"),
    min_version: choice(["1.2", "1.3"], "The oldest TLS version that is accepted.", "1.2"),
  })
  .partial()
  .meta({ description: "The default of every TLS listener." });

const autoTls = z
  .strictObject({
    email: text("Where the CA writes to."),
    agree_terms: flag("Agreement to the CA's terms of service.", false),
    domains: z
      .array(text("A domain; *.example.com needs dns-01."))
      .min(1)
      .meta({ description: "Domains to get certificates for." }),
    ca: text("letsencrypt, letsencrypt-staging, zerossl, or the URL of an ACME directory.", {
      default: "letsencrypt",
    }),
    challenge: choice(
      ["auto", "http-01", "tls-alpn-01", "dns-01"],
      "How the CA checks a domain.",
      "auto",
    ),
    dns_provider: choice(DNS_PROVIDERS, "Who serves the domain's DNS, for dns-01."),
    storage: text("The folder of keys and certificates.", { default: "./certificates" }),
  })
  .partial()
  .meta({ description: "Certificates that are obtained and renewed by ACME." });

const options = z
  .strictObject({
    auto_tls: quotedBoolean("Certificates by ACME."),
    email: z.string().meta({ description: "Where the CA writes to." }),
    domains: z.string().meta({ description: "Domains, separated by commas." }),
    staging: quotedBoolean("Let's Encrypt's test environment."),
    dns_provider: z
      .union([z.literal(""), z.enum(DNS_PROVIDERS)])
      .meta({ description: "For dns-01." }),
  })
  .partial()
  .meta({ description: "The short form of auto_tls." });

export const schema = z
  .strictObject({
    version: z
      .literal(["1.0", "1", 1])
      .meta({ description: "The version of this grammar.", default: "1.0" }),
    log_level: choice(LOG_LEVELS, "The least that is logged.", PROXY_DEFAULTS.logLevel),
    log_format: choice(LOG_FORMATS, "auto: pretty on a terminal, json otherwise.", "auto"),
    access_log: text("off, - for the standard output, or a path.", { default: "off" }),
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
    admin: z
      .strictObject({
        listen: listenAddress("Where to listen; other than loopback needs a token."),
        token_file: text("A file that holds the token.").optional(),
      })
      .meta({ description: "Dashboard, /metrics, /livez, /readyz and /api." }),
    tls,
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
