// The grammar of where clients and requests go: targets, how one is chosen, and which are well. Part of schema.ts.

import { z } from "zod";

import { BOUNDS, HEALTH_DEFAULTS, TARGET_WEIGHT_MAX } from "../shared/limits.ts";
import { BREAKER_DEFAULTS } from "../shared/recovery-limits.ts";
import { choice, count, duration, flag, percent, targetAddress, text } from "./fields.ts";
import { timeout } from "./schema-limits.ts";
import { targetQuic } from "./schema-quic.ts";
import { targetTls } from "./schema-tls.ts";
import { formatPercent } from "./units.ts";

const address = targetAddress("Where to forward to.");

const tls = targetTls.optional();
const quic = targetQuic.optional();

/** One target: an address, or one with settings. */
export const target = z
  .union([address, z.strictObject({ address, tls, quic })])
  .meta({ description: "Where to forward to." });

export const targets = z
  .array(
    z.union([
      address,
      z.strictObject({
        address,
        weight: count(
          "Share of the connections, relative to the other targets.",
          1,
          TARGET_WEIGHT_MAX,
          1,
        ).optional(),
        backup: flag("Used only while every other target is down.", false).optional(),
        tls,
        quic,
      }),
    ]),
  )
  .min(1)
  .meta({ description: "Several targets, among which `balance` chooses." });

export const balance = choice(
  ["round_robin", "least_connections", "random", "source_hash"],
  "How a target is chosen.",
  "round_robin",
);

export const health = z
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

export const circuitBreaker = z
  .strictObject({
    failures: count(
      "Failures in a row that open a target's circuit; 0: not counted.",
      0,
      1_000,
      BREAKER_DEFAULTS.failures,
    ),
    error_rate: percent(
      "The share of failures within the window that opens it; 0: not counted.",
      formatPercent(BREAKER_DEFAULTS.errorRate),
    ),
    minimum: count(
      "Connections or requests in the window before their rate counts.",
      1,
      1_000_000,
      BREAKER_DEFAULTS.minimum,
    ),
    window: timeout("Over which the rate is taken.", BREAKER_DEFAULTS.windowMs, 100),
    open: timeout("How long it stays open at first, doubled.", BREAKER_DEFAULTS.openMs, 10),
    max_open: timeout("How long it stays open at most.", BREAKER_DEFAULTS.maxOpenMs, 10),
    probes: count(
      "While half open: so many at once may find out, and so many must succeed to close it.",
      1,
      1_000,
      BREAKER_DEFAULTS.probes,
    ),
    statuses: z.array(z.int().min(400).max(599)).min(1).meta({
      description: "Of requests: answers that are failures, besides none at all.",
    }),
    all_open: choice(
      ["refuse", "try"],
      "While no target is left that is not open or down: refuse clients at once, or try them all.",
      "refuse",
    ),
  })
  .partial()
  .meta({ description: "When a target is left out for what it does, and how it comes back." });

/** Where a listener's clients go, or those of one of its routes. */
export const destination = {
  target: target.optional(),
  targets: targets.optional(),
  balance: balance.optional(),
  health: health.optional(),
  circuit_breaker: circuitBreaker.optional(),
  slow_start: duration(
    "How long the share of a target grows that came back or was added, from a tenth to all of it; 0: it does not.",
    { max: BOUNDS.timeoutMaxMs, default: "0", zeroIsOff: true },
  ).optional(),
};

export type TargetConfig = z.output<typeof targets>[number];
export type Destination = {
  readonly [K in keyof typeof destination]?: z.output<(typeof destination)[K]>;
};
