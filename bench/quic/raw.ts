// Raw QUIC, each stream a TCP connection: one stream of bulk from the backend to the client, and handshakes.

import { LARGE_BYTES, LARGE_PATH } from "../backends.ts";
import { runChild } from "../children.ts";
import { cpuColumns, cpuPer, type Measurement, type Scale } from "../engine/measurement.ts";
import { BULK_COLUMNS, bulkSample } from "../http/contestants.ts";
import { cpuSince, type CpuTime, cpuTime } from "../load/usage.ts";
import type { RunningPeer } from "../peers/peer.ts";
import { QUIC_LOAD } from "../peers/quic/start.ts";
import { ALPN, QUIC_RELAYS, RELAY_WARM_MS } from "./contestants.ts";

const AT_ONCE = 16;
const GRACE_MS = 30_000;
/** An answer of nginx with its head; the client only has to ask often enough. */
const ANSWER_BYTES = LARGE_BYTES;

const common = {
  group: "quic",
  backend: "http",
  freshPeer: false,
  contestants: QUIC_RELAYS,
  relayWarmMs: RELAY_WARM_MS,
} as const;

interface Counted extends CpuTime {
  count: number;
  elapsedMs: number;
}

/** The relay's CPU time is of the whole run, so the warm-up is taken off by its share of the time. */
async function load(
  peer: RunningPeer,
  { durationMs, warmMs }: Scale,
  what: string,
  ...more: string[]
): Promise<Counted> {
  const at = `127.0.0.1:${peer.quicPort}`;
  const command = [QUIC_LOAD, what, at, ALPN, String(warmMs), String(durationMs), ...more];
  const pids = peer.pids();
  const before = cpuTime(pids);
  const output = await runChild(command, durationMs + warmMs + GRACE_MS);
  const cpu = cpuSince(before, pids);
  const counted = JSON.parse(output) as { count: number; elapsedMs: number };
  const share = counted.elapsedMs / (counted.elapsedMs + warmMs);
  return { ...counted, userMs: cpu.userMs * share, systemMs: cpu.systemMs * share };
}

export const quicBulk: Measurement = {
  ...common,
  name: "quic-bulk",
  title: "Raw QUIC, one stream from the backend to the client",
  columns: BULK_COLUMNS.filter(({ key }) => !key.startsWith("p")),
  async run(peer, scale) {
    const result = await load(peer, scale, "bulk", LARGE_PATH, String(ANSWER_BYTES));
    return bulkSample(result.count, result.elapsedMs, result);
  },
};

export const quicHandshakes: Measurement = {
  ...common,
  name: "quic-handshakes",
  title: `Raw QUIC, ${AT_ONCE} handshakes at once`,
  columns: [
    { key: "rate", title: "handshakes/s", digits: 0, better: "higher" },
    ...cpuColumns("handshake"),
  ],
  async run(peer, scale) {
    const result = await load(peer, scale, "handshakes", String(AT_ONCE));
    return { rate: (result.count * 1000) / result.elapsedMs, ...cpuPer(result.count, result) };
  },
};
