// Questions and answers, as of DNS: each client asks from a socket of its own, waits for the answer, and asks the next.

import {
  allowConnections,
  cpuColumns,
  cpuPer,
  loadOn,
  type Measurement,
  runLoad,
} from "../engine/measurement.ts";
import { perSecond } from "../engine/pingpong.ts";
import type { QuestionsRequest, QuestionsResult } from "../load/questions.ts";
import { DATAGRAM_RELAYS, RELAY_WARM_MS } from "./contestants.ts";

const CLIENTS_SMOKE = 64;
const DURATION_MS = 1_500;

export function questions(clients: number, bytes: number): Measurement {
  const size = bytes < 1_000 ? "" : `-${bytes}`;
  const many = clients === 1 ? "1 client" : `${clients} clients`;
  return {
    name: `udp-${clients}${size}`,
    group: "udp",
    title: `UDP, question and answer, ${many} × ${bytes.toLocaleString("en-US")} B`,
    backend: "datagrams",
    freshPeer: false,
    contestants: DATAGRAM_RELAYS,
    relayWarmMs: RELAY_WARM_MS,
    durationMs: DURATION_MS,
    columns: [
      { key: "rate", title: "answers/s", digits: 0, better: "higher" },
      ...cpuColumns("question"),
      { key: "p50Us", title: "median µs", digits: 0, better: "lower" },
      { key: "p99Us", title: "99th % µs", digits: 0, better: "lower" },
      { key: "lost", title: "lost", digits: 0, better: "lower" },
    ],
    async run(peer, scale) {
      const count = scale.smoke ? Math.min(clients, CLIENTS_SMOKE) : clients;
      allowConnections(peer, count);
      const request: QuestionsRequest = {
        ...loadOn(peer, scale),
        clients: count,
        bytes,
        runMs: scale.durationMs,
      };
      const result = await runLoad<QuestionsResult>("questions.ts", request);
      const { p50Us, p99Us, lost } = result;
      return {
        rate: perSecond(result),
        ...cpuPer(result.messages, result),
        p50Us,
        p99Us,
        lost,
      };
    },
  };
}
