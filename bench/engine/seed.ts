// The three measurements of go-tunnel's README, so that its figures and ours can be set side by side: the loss
// against the direct connection of the same run. Each is repeated within a run, since one of them lasts
// milliseconds only.

import type { BulkEchoRequest, BulkEchoResult } from "../load/bulk-echo.ts";
import type { ConnectCountRequest, ConnectResult } from "../load/connect.ts";
import type { RepeatedRequest } from "../load/interval.ts";
import type { RunningPeer } from "../peers/peer.ts";
import { loadOn, type Measurement, runLoad, type Scale } from "./measurement.ts";

const REPETITIONS = 9;

const common = { group: "seed", backend: "echo", freshPeer: false } as const;

function repeatedly(peer: RunningPeer, scale: Scale): RepeatedRequest {
  return { ...loadOn(peer, scale), repetitions: scale.smoke ? 1 : REPETITIONS };
}

const throughput: Measurement = {
  ...common,
  name: "seed-throughput",
  title: "One connection, 10 × (1 MiB there and back), both directions counted",
  columns: [{ key: "rate", title: "MB/s", digits: 0, better: "higher" }],
  async run(peer, scale) {
    const request: BulkEchoRequest = {
      ...repeatedly(peer, scale),
      blockBytes: 1 << 20,
      blocks: 10,
    };
    const { bytes, elapsedMs } = await runLoad<BulkEchoResult>("bulk-echo.ts", request);
    return { rate: bytes / 1000 / elapsedMs };
  },
};

/** @param count connections in one repetition. */
function short(peer: RunningPeer, scale: Scale, count: number, inFlight: number, bytes: number) {
  const request: ConnectCountRequest = { ...repeatedly(peer, scale), count, inFlight, bytes };
  return runLoad<ConnectResult>("connect.ts", request);
}

const latency: Measurement = {
  ...common,
  name: "seed-latency",
  title: "100 fresh connections one after another, 4 B, time after connect",
  columns: [{ key: "echoMs", title: "ms", digits: 3, better: "lower" }],
  async run(peer, scale) {
    const { echoMs } = await short(peer, scale, 100, 1, 4);
    return { echoMs };
  },
};

const concurrency: Measurement = {
  ...common,
  name: "seed-concurrency",
  title: "500 fresh connections, 10 at once, 1 KiB echo",
  columns: [{ key: "rate", title: "per second", digits: 0, better: "higher" }],
  async run(peer, scale) {
    const { connections, elapsedMs } = await short(peer, scale, 500, 10, 1024);
    return { rate: (connections * 1000) / elapsedMs };
  },
};

export const seed: readonly Measurement[] = [throughput, latency, concurrency];
