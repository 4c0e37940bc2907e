// Full TLS 1.3 handshakes, 16 at once, each on a connection of its own that ends in order right after it. The client's part of a
// handshake is larger than the server's, since it verifies a signature where the server makes one: on two cores the client
// is what the rate ends at, and the CPU time for a handshake is the figure that compares.

import { cpuPer, loadOn, type Measurement, runLoad } from "../engine/measurement.ts";
import type { HandshakesRequest, HandshakesResult } from "../load/handshakes.ts";
import { OF_GATEWAYS, rateOf } from "./contestants.ts";

const IN_FLIGHT = 16;

export const handshakes: Measurement = {
  name: "tls-handshakes",
  ...OF_GATEWAYS,
  title: `Full TLS 1.3 handshakes, ${IN_FLIGHT} at once, ECDSA P-256`,
  backend: "http",
  columns: rateOf("handshakes/s", "handshake"),
  async run(peer, scale) {
    if (peer.tlsPort === undefined) throw new Error("no tlsPort");
    const request: HandshakesRequest = {
      ...loadOn(peer, scale),
      port: peer.tlsPort,
      inFlight: IN_FLIGHT,
      runMs: scale.durationMs,
    };
    const result = await runLoad<HandshakesResult>("handshakes.ts", request);
    const { p50Us, p99Us } = result;
    const rate = (result.handshakes * 1000) / result.elapsedMs;
    return { rate, ...cpuPer(result.handshakes, result), p50Us, p99Us };
  },
};
