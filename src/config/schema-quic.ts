// The grammar of QUIC: what a listener of raw streams has, and how a quic:// target is spoken with. Part of schema.ts; files of
// tokens are named here and read when the proxy starts.

import { z } from "zod";

import { BOUNDS, QUIC_DEFAULTS, QUIC_TARGET_DEFAULTS } from "../shared/limits.ts";
import { choice, duration, text } from "./fields.ts";
import { timeout } from "./schema-limits.ts";
import { formatDuration } from "./units.ts";

export const QUIC_DRIVERS = ["auto", "quiche", "bun"] as const;

const driver = choice(
  QUIC_DRIVERS,
  "Who implements QUIC; auto: the faster that runs here.",
  "auto",
);

const keepAlive = (fallbackMs: number) =>
  duration("A packet is sent after so long without one; 0: never.", {
    max: BOUNDS.timeoutMaxMs,
    default: fallbackMs === 0 ? "0" : formatDuration(fallbackMs),
    zeroIsOff: true,
  });

const idle = (fallbackMs: number) =>
  timeout("A connection without a packet for this long is gone.", fallbackMs, BOUNDS.quicIdleMinMs);

/** Of a listener. */
export const quic = z
  .strictObject({
    driver,
    keep_alive: keepAlive(QUIC_DEFAULTS.keepAliveMs),
    idle: idle(QUIC_DEFAULTS.idleMs),
    token_file: text("A file that holds the token which every client must show."),
  })
  .partial()
  .meta({ description: "QUIC connections of clients." });

/** Towards a target. */
export const targetQuic = z
  .strictObject({
    driver,
    alpn: z.array(text("A protocol's name.")).min(1).meta({
      description: "ALPN names that the target is offered, best first.",
      default: QUIC_DEFAULTS.alpn,
    }),
    keep_alive: keepAlive(QUIC_TARGET_DEFAULTS.keepAliveMs),
    idle: idle(QUIC_TARGET_DEFAULTS.idleMs),
    token_file: text("A file that holds the token which the target asks for."),
  })
  .partial()
  .meta({ description: "The QUIC connection to a quic:// target, which all clients share." });

export type TargetQuicConfig = z.output<typeof targetQuic>;
