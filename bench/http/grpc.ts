// gRPC's unary calls as their frames are: HTTP/2 in clear on both sides, POST with a message of 100 bytes, the answer the same
// with trailers.

import { grpcMessage, SMALL_BYTES, UNARY_PATH } from "../backends.ts";
import { cpuPer, type Measurement } from "../engine/measurement.ts";
import { OF_GATEWAYS, rateOf, urlOf } from "./contestants.ts";
import { h2load } from "./h2load.ts";

const CONNECTIONS = 16;
const STREAMS = 16;

export const grpcUnary: Measurement = {
  name: "grpc-unary",
  ...OF_GATEWAYS,
  title: `gRPC unary, ${CONNECTIONS} connections × ${STREAMS} streams, messages of 100 B, h2c to h2c`,
  backend: "grpc",
  columns: rateOf("calls/s", "call"),
  async run(peer, scale) {
    const result = await h2load(peer, scale, urlOf(peer, "h2cPort", UNARY_PATH), {
      connections: CONNECTIONS,
      streams: STREAMS,
      body: grpcMessage(SMALL_BYTES),
      headers: ["content-type: application/grpc", "te: trailers"],
    });
    const { requests, perSecond: rate, cpu, p50Us, p99Us } = result;
    return { rate, ...cpuPer(requests, cpu), p50Us, p99Us };
  },
};
