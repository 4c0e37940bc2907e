// The list of measurements, in the order in which they run.

import { bulk } from "./bulk.ts";
import { connections } from "./connect.ts";
import { idle } from "./idle.ts";
import type { Measurement } from "./measurement.ts";
import { pingPong } from "./pingpong.ts";
import { seed } from "./seed.ts";

export const MEASUREMENTS: readonly Measurement[] = [
  bulk(1),
  bulk(8),
  pingPong(1),
  pingPong(64),
  pingPong(512),
  connections(1),
  connections(16),
  idle,
  ...seed,
];
