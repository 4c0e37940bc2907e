// From one worker to two: ping-pong over 512 connections, what a message costs then, and how evenly the workers share
// the connections and the work. On two cores, which client and backend use too, the rate can hardly grow: the cost
// and the evenness say more.

import type { PingPongResult } from "../load/pingpong.ts";
import { socketsPerLoop, threadTimes } from "../load/usage.ts";
import type { RunningPeer } from "../peers/peer.ts";
import { evenness } from "../statistics.ts";
import { cpuColumns, cpuPer, type Measurement, type Sample } from "./measurement.ts";
import { exchange, perSecond } from "./pingpong.ts";

const CONNECTIONS = 512;
const MESSAGE_BYTES = 64;
const DURATION_MS = 1_500;
const LOOKS = 8; // a busy ring shows nothing: the most that was seen counts
const LOOK_MS = 20;

/** How evenly the workers share the connections, from `beginMs` on. */
async function connectionShares(peer: RunningPeer, beginMs: number): Promise<number> {
  await Bun.sleep(beginMs);
  const most = new Map<string, number>();
  for (let look = 0; look < LOOKS; look++) {
    for (const [loop, count] of socketsPerLoop(peer.pids())) {
      most.set(loop, Math.max(count, most.get(loop) ?? 0));
    }
    await Bun.sleep(LOOK_MS);
  }
  return evenness(most.values(), peer.workers);
}

function workShares(peer: RunningPeer, before: ReadonlyMap<string, number>): number {
  const spent = [...threadTimes(peer.pids())].map(([thread, ms]) => ms - (before.get(thread) ?? 0));
  return evenness(spent, peer.workers);
}

function figures(result: PingPongResult): Sample {
  return { rate: perSecond(result), ...cpuPer(result.messages, result) };
}

export const scaling: Measurement = {
  name: "scaling",
  group: "scaling",
  title: `From 1 worker to 2: ping-pong, ${CONNECTIONS} connections × ${MESSAGE_BYTES} B`,
  backend: "echo",
  freshPeer: false,
  durationMs: DURATION_MS,
  contestants: /^(proxy-|nginx|haproxy)/,
  columns: [
    { key: "rate", title: "messages/s", digits: 0, better: "higher" },
    ...cpuColumns("message"),
    { key: "cpuEven", title: "CPU of workers, least % of most", digits: 0, better: "higher" },
    { key: "socketsEven", title: "connections, least % of most", digits: 0, better: "higher" },
  ],
  async run(peer, scale) {
    const before = threadTimes(peer.pids());
    const load = exchange(peer, scale, CONNECTIONS, MESSAGE_BYTES);
    if (peer.workers === 1) return figures(await load);
    const halfwayMs = scale.warmMs + scale.durationMs / 2;
    const [result, socketsEven] = await Promise.all([load, connectionShares(peer, halfwayMs)]);
    return { ...figures(result), cpuEven: workShares(peer, before), socketsEven };
  },
};
