// Latency at half load, open loop: 64 connections send a message each in turn, at times fixed beforehand. The pace is
// the same for all contestants: half of what nginx reaches in a closed loop of as many connections in this run, just
// before. A contestant that is slower than that shows it here.

import type { PacedRequest, PacedResult } from "../load/paced.ts";
import type { RunningPeer } from "../peers/peer.ts";
import { spread } from "../statistics.ts";
import {
  cpuColumns,
  cpuPer,
  loadOn,
  type Measurement,
  type Pace,
  runLoad,
  type Scale,
} from "./measurement.ts";
import { exchange, perSecond } from "./pingpong.ts";

const CONNECTIONS = 64;
const MESSAGE_BYTES = 64;
const LOAD = 0.5;
const YARDSTICK = "nginx";
const DURATION_MS = 3_000; // some 30 of the messages lie above the 99.9th percentile
const FIND_RUNS = 3;
const FIND_MS = 1_000;
const WARM_PER_SECOND = 5_000;

/** nginx, or the first relay there is. */
function yardstick(peers: ReadonlyMap<string, RunningPeer>): readonly [string, RunningPeer] {
  const relays = [...peers].filter(([name]) => name !== "direct");
  const chosen = relays.find(([name]) => name === YARDSTICK) ?? relays[0] ?? [...peers][0];
  if (chosen === undefined) throw new Error("no contestant takes part");
  return chosen;
}

async function findPace(peers: ReadonlyMap<string, RunningPeer>, scale: Scale): Promise<Pace> {
  const [name, peer] = yardstick(peers);
  const rates: number[] = [];
  for (let run = 0; run < (scale.smoke ? 1 : FIND_RUNS); run++) {
    const durationMs = Math.min(scale.durationMs, FIND_MS);
    const found = await exchange(peer, { ...scale, durationMs }, CONNECTIONS, MESSAGE_BYTES);
    rates.push(perSecond(found));
  }
  const whole = spread(rates).median;
  const pace = Math.round(whole * LOAD);
  const from = `half of the ${Math.round(whole).toLocaleString("en-US")} that ${name} reached`;
  const note = `${pace.toLocaleString("en-US")} messages/s are sent, ${from} in a closed loop of ${CONNECTIONS} connections.`;
  return { perSecond: pace, note };
}

export const latency: Measurement = {
  name: "latency",
  group: "latency",
  title: `Latency at half load, open loop, ${CONNECTIONS} connections × ${MESSAGE_BYTES} B`,
  backend: "echo",
  freshPeer: false,
  durationMs: DURATION_MS,
  columns: [
    { key: "p99Us", title: "99th % µs", digits: 0, better: "lower" },
    { key: "p50Us", title: "median µs", digits: 0, better: "lower" },
    { key: "p999Us", title: "99.9th % µs", digits: 0, better: "lower" },
    { key: "rate", title: "messages/s reached", digits: 0, better: "higher" },
    ...cpuColumns("message"),
  ],
  findPace,
  async run(peer, scale, pace) {
    const request: PacedRequest = {
      ...loadOn(peer, scale),
      connections: CONNECTIONS,
      bytes: MESSAGE_BYTES,
      // Before the pace is known, the relays are only warmed up.
      perSecond: pace.perSecond || WARM_PER_SECOND,
      runMs: scale.durationMs,
    };
    const result = await runLoad<PacedResult>("paced.ts", request);
    const { p50Us, p99Us, p999Us } = result;
    const cpu = cpuPer(result.messages, result);
    return { p99Us, p50Us, p999Us, rate: perSecond(result), ...cpu };
  },
};
