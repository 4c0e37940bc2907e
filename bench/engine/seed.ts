// The three measurements of go-tunnel's README, so that its figures and ours can be set side by side: the loss
// against the direct connection of the same run. Each is repeated within a run, since one of them lasts
// milliseconds only.

import type { BulkEchoRequest, BulkEchoResult } from "../load/bulk-echo.ts";
import type { ConnectRequest, ConnectResult } from "../load/connect.ts";
import { type Measurement, runLoad, type Scale } from "./measurement.ts";

const REPETITIONS = 9;

function repetitions(scale: Scale): { warm: number; repetitions: number } {
  return scale.smoke ? { warm: 0, repetitions: 1 } : { warm: 3, repetitions: REPETITIONS };
}

const throughput: Measurement = {
  name: "seed-throughput",
  title: "One connection, 10 × (1 MiB there and back), both directions counted",
  backend: "echo",
  freshPeer: false,
  columns: [{ key: "rate", title: "MB/s", digits: 0, better: "higher" }],
  async run(peer, scale) {
    const request: BulkEchoRequest = {
      port: peer.port,
      blockBytes: 1 << 20,
      blocks: 10,
      ...repetitions(scale),
    };
    const { bytes, elapsedMs } = await runLoad<BulkEchoResult>("bulk-echo.ts", request);
    return { rate: bytes / 1000 / elapsedMs };
  },
};

/** @param count connections in one repetition. */
function short(peerPort: number, scale: Scale, count: number, inFlight: number, bytes: number) {
  const request: ConnectRequest = {
    port: peerPort,
    inFlight,
    bytes,
    runMs: 0,
    count,
    pids: [],
    warm: scale.smoke ? 0 : 2 * count,
    repetitions: repetitions(scale).repetitions,
  };
  return runLoad<ConnectResult>("connect.ts", request);
}

const latency: Measurement = {
  name: "seed-latency",
  title: "100 fresh connections one after another, 4 B, time after connect",
  backend: "echo",
  freshPeer: false,
  columns: [{ key: "echoMs", title: "ms", digits: 3, better: "lower" }],
  async run(peer, scale) {
    const { echoMs } = await short(peer.port, scale, 100, 1, 4);
    return { echoMs };
  },
};

const concurrency: Measurement = {
  name: "seed-concurrency",
  title: "500 fresh connections, 10 at once, 1 KiB echo",
  backend: "echo",
  freshPeer: false,
  columns: [{ key: "rate", title: "per second", digits: 0, better: "higher" }],
  async run(peer, scale) {
    const { connections, elapsedMs } = await short(peer.port, scale, 500, 10, 1024);
    return { rate: (connections * 1000) / elapsedMs };
  },
};

export const seed: readonly Measurement[] = [throughput, latency, concurrency];
