// The list of measurements, in the order in which they run.

import { HTTP } from "../http/all.ts";
import { QUIC } from "../quic/all.ts";
import { UDP } from "../udp/all.ts";
import { bulk } from "./bulk.ts";
import { connect } from "./connect.ts";
import { idle } from "./idle.ts";
import { latency } from "./latency.ts";
import type { Measurement } from "./measurement.ts";
import { pingPong } from "./pingpong.ts";
import { scaling } from "./scaling.ts";
import { seed } from "./seed.ts";

const CONNECTIONS = [1, 64, 512, 4096];
const MESSAGES = [64, 4096];

export const MEASUREMENTS: readonly Measurement[] = [
  bulk(1),
  bulk(8),
  ...MESSAGES.flatMap((bytes) => CONNECTIONS.map((count) => pingPong(count, bytes))),
  ...connect,
  latency,
  scaling,
  idle,
  ...seed,
  ...UDP,
  ...HTTP,
  ...QUIC,
];
