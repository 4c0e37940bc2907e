// Ping-pong: how many messages go to the backend and back each second, and what each costs the relay.

import type { PingPongRequest, PingPongResult } from "../load/pingpong.ts";
import type { RunningPeer } from "../peers/peer.ts";
import {
  allowConnections,
  cpuColumns,
  cpuPer,
  loadOn,
  type Measurement,
  runLoad,
  type Scale,
} from "./measurement.ts";

const CONNECTIONS_SMOKE = 100;
const DURATION_MS = 1_200;
/** So many connections take a second to open alone: not for those that no one would use for that. */
const MANY = 4_096;
const FOR_MANY = /^(direct|proxy-uring|proxy-epoll|nginx|haproxy|go)$/;

export function exchange(
  peer: RunningPeer,
  scale: Scale,
  connections: number,
  bytes: number,
): Promise<PingPongResult> {
  const count = scale.smoke ? Math.min(connections, CONNECTIONS_SMOKE) : connections;
  allowConnections(peer, count);
  const request: PingPongRequest = {
    ...loadOn(peer, scale),
    connections: count,
    bytes,
    runMs: scale.durationMs,
  };
  return runLoad("pingpong.ts", request);
}

export function perSecond({ messages, elapsedMs }: { messages: number; elapsedMs: number }) {
  return (messages * 1000) / elapsedMs;
}

export function pingPong(connections: number, bytes: number): Measurement {
  const size = bytes < 1024 ? `${bytes} B` : `${bytes / 1024} KiB`;
  const name = `pingpong-${connections}${bytes < 1024 ? "" : `-${bytes / 1024}k`}`;
  const many = connections.toLocaleString("en-US");
  return {
    name,
    group: "pingpong",
    title: `Ping-pong, ${many} ${connections === 1 ? "connection" : "connections"} × ${size}`,
    backend: "echo",
    freshPeer: false,
    durationMs: DURATION_MS,
    ...(connections >= MANY && { contestants: FOR_MANY }),
    columns: [
      { key: "rate", title: "messages/s", digits: 0, better: "higher" },
      ...cpuColumns("message"),
      { key: "p50Us", title: "median µs", digits: 0, better: "lower" },
      { key: "p99Us", title: "99th % µs", digits: 0, better: "lower" },
    ],
    async run(peer, scale) {
      const result = await exchange(peer, scale, connections, bytes);
      return {
        rate: perSecond(result),
        ...cpuPer(result.messages, result),
        p50Us: result.p50Us,
        p99Us: result.p99Us,
      };
    },
  };
}
