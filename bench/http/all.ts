// The measurements of gateways, in the order in which they run.

import type { Measurement } from "../engine/measurement.ts";
import { grpcUnary } from "./grpc.ts";
import { handshakes } from "./handshakes.ts";
import { http1Large, http2Large } from "./large.ts";
import { h2cSmall, http1Small, http2Small } from "./small.ts";
import { websocketEcho } from "./websocket.ts";

export const HTTP: readonly Measurement[] = [
  http1Small,
  http2Small,
  h2cSmall,
  http1Large,
  http2Large,
  handshakes,
  websocketEcho,
  grpcUnary,
];
