// Small messages: how many 64-byte messages go to the backend and back each second, and what each costs the relay.

import type { PingPongRequest, PingPongResult } from "../load/pingpong.ts";
import { cpuColumns, cpuPer, type Measurement, runLoad } from "./measurement.ts";

const MESSAGE_BYTES = 64;

export function pingPong(connections: number): Measurement {
  return {
    name: `pingpong-${connections}`,
    title: `Ping-pong, ${connections} ${connections === 1 ? "connection" : "connections"} × ${MESSAGE_BYTES} B`,
    backend: "echo",
    freshPeer: false,
    columns: [
      { key: "rate", title: "messages/s", digits: 0, better: "higher" },
      ...cpuColumns("message"),
      { key: "p50Us", title: "median µs", digits: 0, better: "lower" },
      { key: "p99Us", title: "99th % µs", digits: 0, better: "lower" },
    ],
    async run(peer, scale) {
      const request: PingPongRequest = {
        port: peer.port,
        connections,
        bytes: MESSAGE_BYTES,
        warmMs: scale.smoke ? 20 : 400,
        runMs: scale.durationMs,
        pids: peer.pids(),
      };
      const result = await runLoad<PingPongResult>("pingpong.ts", request);
      return {
        rate: (result.messages * 1000) / result.elapsedMs,
        ...cpuPer(result.messages, result),
        p50Us: result.p50Us,
        p99Us: result.p99Us,
      };
    },
  };
}
