// Short connections: connect, 64 bytes to the backend and back, close; one after another or several at once.
// One after another, every step of a connection wakes another process, and what that costs depends on which processor
// the scheduler picks: the rate varies fourfold between runs. So there are many short runs, and the same with
// everything on one processor, where waking costs the same each time and the rate tells the length of the path.

import type { ConnectRequest, ConnectResult } from "../load/connect.ts";
import { cpuColumns, cpuPer, loadOn, type Measurement, runLoad } from "./measurement.ts";

const MESSAGE_BYTES = 64;
const SHORT_RUN_MS = 700;
const CONCURRENT_RUN_MS = 1_500;

const common = {
  group: "connections",
  backend: "echo",
  freshPeer: false,
  columns: [
    { key: "rate", title: "connections/s", digits: 0, better: "higher" },
    ...cpuColumns("connection"),
  ],
} as const;

function run(inFlight: number): Measurement["run"] {
  return async (peer, scale) => {
    const request: ConnectRequest = {
      ...loadOn(peer, scale),
      inFlight,
      bytes: MESSAGE_BYTES,
      runMs: scale.durationMs,
    };
    const result = await runLoad<ConnectResult>("connect.ts", request);
    return {
      rate: (result.connections * 1000) / result.elapsedMs,
      ...cpuPer(result.connections, result),
    };
  };
}

export const connect: readonly Measurement[] = [
  {
    ...common,
    name: "connect",
    title: "Short connections, one after another",
    runs: 25,
    durationMs: SHORT_RUN_MS,
    run: run(1),
  },
  {
    ...common,
    name: "connect-one-core",
    title: "Short connections, one after another, client, relay and backend on one core",
    runs: 11,
    durationMs: SHORT_RUN_MS,
    oneCore: true,
    run: run(1),
  },
  {
    ...common,
    name: "connect-16",
    title: "Short connections, 16 at once",
    durationMs: CONCURRENT_RUN_MS,
    run: run(16),
  },
];
