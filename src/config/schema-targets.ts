// The grammar of where clients and requests go: targets, how one is chosen, and which are well. Part of schema.ts.

import { z } from "zod";

import { HEALTH_DEFAULTS, TARGET_WEIGHT_MAX } from "../shared/limits.ts";
import { choice, count, flag, targetAddress, text } from "./fields.ts";
import { timeout } from "./schema-limits.ts";
import { targetQuic } from "./schema-quic.ts";
import { targetTls } from "./schema-tls.ts";

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

/** Where a listener's clients go, or those of one of its routes. */
export const destination = {
  target: target.optional(),
  targets: targets.optional(),
  balance: balance.optional(),
  health: health.optional(),
};

export type TargetConfig = z.output<typeof targets>[number];
export type Destination = {
  readonly [K in keyof typeof destination]?: z.output<(typeof destination)[K]>;
};
