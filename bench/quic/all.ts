// The measurements of QUIC, in the order in which they run.

import type { Measurement } from "../engine/measurement.ts";
import { http3Large, http3Small } from "./http3.ts";
import { http3Loss } from "./loss.ts";
import { quicBulk, quicHandshakes } from "./raw.ts";

export const QUIC: readonly Measurement[] = [
  http3Small,
  http3Large,
  quicBulk,
  quicHandshakes,
  http3Loss,
];
