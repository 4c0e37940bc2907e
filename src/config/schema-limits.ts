// The grammar of what a listener admits, how long each step may take, and what its sockets and buffers are. Part of schema.ts;
// what belongs to which protocol is decided in key-homes.ts.

import { z } from "zod";

import {
  BOUNDS,
  HTTP_DEFAULTS,
  LISTENER_DEFAULTS,
  QUIC_DEFAULTS,
  TLS_DEFAULTS,
  UDP_DEFAULTS,
} from "../shared/limits.ts";
import { byteRate, count, duration, eventRate, flag, size } from "./fields.ts";
import { formatDuration, formatSize } from "./units.ts";

const DEFAULTS = LISTENER_DEFAULTS;
export const timeout = (description: string, fallbackMs: number, min: number, zeroIsOff = false) =>
  duration(description, {
    min,
    max: BOUNDS.timeoutMaxMs,
    default: formatDuration(fallbackMs),
    zeroIsOff,
  });
const maxBody = size("Of requests: a body; 413 beyond. 0: no limit.", {
  default: HTTP_DEFAULTS.bodyBytes,
});
const response = timeout(
  "Of requests: from the end of one to the head of its answer; 504 beyond.",
  HTTP_DEFAULTS.responseMs,
  1,
);
const total = timeout(
  "Of requests: one and its answer as a whole; 0: never.",
  HTTP_DEFAULTS.totalMs,
  0,
  true,
);

/** Of a route of requests, over the listener's. */
export const bounds = {
  limits: z
    .strictObject({ max_body: maxBody })
    .partial()
    .meta({ description: "What requests of this route may have." })
    .optional(),
  timeouts: z
    .strictObject({
      response,
      idle: timeout(
        "Without a byte of a request, an answer or a WebSocket; 0: never.",
        HTTP_DEFAULTS.idleMs,
        0,
        true,
      ),
      total,
    })
    .partial()
    .meta({ description: "How long requests of this route may take." })
    .optional(),
};

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

export const limits = z
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
    max_head: size("Of requests: a head with its request line; 431 beyond.", {
      min: BOUNDS.headBytesMin,
      max: BOUNDS.headBytesMax,
      default: formatSize(HTTP_DEFAULTS.headBytes),
    }),
    max_head_fields: count(
      "Of requests: the fields of a head; 431 beyond.",
      BOUNDS.headFieldsMin,
      BOUNDS.headFieldsMax,
      HTTP_DEFAULTS.headFields,
    ),
    max_body: maxBody,
    max_streams: count(
      "Streams at once on one HTTP/2 or QUIC connection; " +
        `of quic, ${QUIC_DEFAULTS.streams} by default.`,
      1,
      BOUNDS.streamsMax,
      HTTP_DEFAULTS.streams,
    ),
    max_requests: count(
      "Of requests: on one connection before it is closed; 0: no limit.",
      0,
      Number.MAX_SAFE_INTEGER,
      HTTP_DEFAULTS.requestsPerConnection,
    ),
    min_rate: byteRate(
      "Of requests: bytes each second that whoever sends a body or reads an answer must manage; 0: no minimum.",
      { default: `${HTTP_DEFAULTS.minBytesPerSecond}/s`, zeroIsOff: true },
    ),
  })
  .partial()
  .meta({
    description:
      "What a listener admits. Clients beyond a limit are turned away, counted and logged; bytes beyond one wait.",
  });

export const timeouts = z
  .strictObject({
    connect: timeout("For reaching the target, over all of its addresses.", DEFAULTS.connectMs, 1),
    idle: timeout(
      "A connection on which no byte moves either way for this long is reset; 0: never. " +
        `A session of udp is over, after ${formatDuration(UDP_DEFAULTS.idleMs)} by default; ` +
        `of requests, ${formatDuration(HTTP_DEFAULTS.idleMs)}.`,
      DEFAULTS.idleMs,
      0,
      true,
    ),
    proxy_header: timeout(
      "For the PROXY header that clients begin with.",
      DEFAULTS.proxyHeaderMs,
      1,
    ),
    client_hello: timeout("For the client's first TLS message.", DEFAULTS.clientHelloMs, 1),
    handshake: timeout("For the TLS handshake.", TLS_DEFAULTS.handshakeMs, 1),
    head: timeout(
      "Of requests: from the first byte of a head (of a connection: from its beginning) to its end.",
      HTTP_DEFAULTS.headMs,
      1,
    ),
    keepalive: timeout(
      "Of requests: between two of them on one connection.",
      HTTP_DEFAULTS.keepaliveMs,
      1,
    ),
    response,
    total,
    backend_keepalive: timeout(
      "Of requests: a connection to a target that is not used for this long is closed.",
      HTTP_DEFAULTS.backendKeepaliveMs,
      1,
    ),
    lifetime: timeout(
      "A connection is reset after this long, whatever it does; of requests, closed once it has none; 0: never.",
      DEFAULTS.lifetimeMs,
      0,
      true,
    ),
  })
  .partial()
  .meta({ description: "How long each step may take." });

export const socket = z
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

export const backpressure = z
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
