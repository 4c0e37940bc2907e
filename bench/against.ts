// This checkout against another one of this project: what does a change cost those who do not use it? Relays of both serve at
// the same time and are loaded in turn (load/duel.ts), so a quotient is of two turns that stood side by side; and both are
// started anew several times, since two processes of one program differ by some percent for as long as they live. Everything
// is on one core: there the scheduler has little choice, and CPU time differs three times less from turn to turn. Called by
// main.ts.

import { startBackend } from "./backends.ts";
import { runLoad } from "./engine/measurement.ts";
import { pinned } from "./load/affinity.ts";
import type { DuelRequest, Turn } from "./load/duel.ts";
import type { Peer, RunningPeer } from "./peers/peer.ts";
import { type Checkout, proxyPeer } from "./peers/proxy.ts";
import { formatNumber } from "./report.ts";
import { type Quotient, quotient, spread } from "./statistics.ts";

/** How often both are started, and how many turns each has then. */
const SITTINGS = 5;
const TURNS = 60;
const TURN_MS = 100;
/** On a core that the relays share with their compilers, the backend and the client. */
const WARM_MS = 3_000;
const SMOKE = { turns: 2, turnMs: 20, warmMs: 20 };
const ENGINES = ["uring", "epoll"] as const;

export interface Duel {
  name: string;
  title: string;
  connections: number;
  bytes: number;
}

export const DUELS: readonly Duel[] = [
  { name: "pingpong-1", title: "1 connection × 64 B", connections: 1, bytes: 64 },
  { name: "pingpong-64", title: "64 connections × 64 B", connections: 64, bytes: 64 },
  { name: "pingpong-512", title: "512 connections × 64 B", connections: 512, bytes: 64 },
  { name: "bulk", title: "4 connections × 256 KiB", connections: 4, bytes: 256 * 1024 },
];

export interface Compared {
  /** Of the duel. */
  name: string;
  title: string;
  engine: string;
  /** Turns side by side. */
  pairs: number;
  /** CPU µs per message: medians of the turns, here divided by there, and the same for each start. */
  cpuUs: Figure;
  /** Messages per second. */
  rate: Figure;
}

interface Figure {
  now: number;
  before: number;
  quotient: Quotient;
  /** Median of each start. */
  starts: number[];
}

/** What is kept in bench/results. */
export interface Comparison {
  /** The commit of this checkout, and the other's. */
  now: string;
  before: string;
  compared: Compared[];
}

/** The turns of one start, of both sides. */
export type Sitting = readonly [now: readonly Turn[], before: readonly Turn[]];

function figure(sittings: readonly Sitting[], of: (turn: Turn) => number): Figure {
  const quotients = sittings.map(([now, before]) =>
    now.map((turn, i) => of(turn) / of(before[i]!)),
  );
  const [now, before] = [0, 1].map(
    (side) => spread(sittings.flatMap((sitting) => sitting[side]!.map(of))).median,
  );
  const starts = quotients.map((each) => spread(each).median);
  return { now: now!, before: before!, quotient: quotient(quotients.flat()), starts };
}

export function compare(duel: Duel, engine: string, sittings: readonly Sitting[]): Compared {
  return {
    name: duel.name,
    title: duel.title,
    engine,
    pairs: sittings.reduce((sum, [now]) => sum + now.length, 0),
    cpuUs: figure(sittings, ({ cpuMs, messages }) => (cpuMs * 1_000) / messages),
    rate: figure(sittings, ({ messages, elapsedMs }) => (messages * 1_000) / elapsedMs),
  };
}

async function sit(duel: Duel, peers: readonly Peer[], smoke: boolean, directory: string) {
  const { connections, bytes } = duel;
  const backend = await startBackend("echo", directory);
  const running: RunningPeer[] = [];
  for (const peer of peers) running.push(await peer.start(backend.port, directory, backend));
  try {
    const relays = running.map((peer) => ({ port: peer.port, pids: peer.pids() }));
    const extent = smoke ? SMOKE : { turns: TURNS, turnMs: TURN_MS, warmMs: WARM_MS };
    const request: DuelRequest = { relays, connections, bytes, ...extent };
    return await runLoad<Sitting>("duel.ts", { port: 0, pids: [], ...request });
  } finally {
    await Promise.all([...running, backend].map((each) => each.stop()));
  }
}

/** @returns null if the engine does not work here. @throws if it does here and not there. */
async function pairOf(engine: (typeof ENGINES)[number], root: string, directory: string) {
  const there: Checkout = { prefix: "before", root };
  const [now, before] = [proxyPeer(engine, directory), proxyPeer(engine, directory, there)];
  const [here, other] = [await now.available(), await before.available()];
  if ("missing" in here) {
    console.error(`without ${now.name}: ${here.missing}`);
    return null;
  }
  if ("missing" in other) throw new Error(`${engine} in ${root}: ${other.missing}`);
  return [now, before];
}

/** Both checkouts, each engine, each duel. */
export async function measureAgainst(
  root: string,
  duels: readonly Duel[],
  smoke: boolean,
  directory: string,
): Promise<Compared[]> {
  // What is started from here inherits the processor.
  using _core = pinned();
  const compared: Compared[] = [];
  for (const engine of ENGINES) {
    const peers = await pairOf(engine, root, directory);
    if (peers === null) continue;
    for (const duel of duels) {
      const sittings: Sitting[] = [];
      while (sittings.length < (smoke ? 1 : SITTINGS)) {
        sittings.push(await sit(duel, peers, smoke, directory));
      }
      compared.push(compare(duel, engine, sittings));
    }
  }
  return compared;
}

/** What was compared of the same two commits before stays, unless it was compared anew. */
export function merged(old: Comparison | null, fresh: Comparison): Comparison {
  if (old === null || old.now !== fresh.now || old.before !== fresh.before) return fresh;
  const anew = new Set(fresh.compared.map(({ name, engine }) => `${name} ${engine}`));
  const kept = old.compared.filter(({ name, engine }) => !anew.has(`${name} ${engine}`));
  return { ...fresh, compared: [...kept, ...fresh.compared] };
}

export function formatComparison({ now: here, before, compared }: Comparison): string {
  const rows = compared.flatMap(({ title, engine, pairs, cpuUs, rate }) => {
    const row = (first: string, name: string, digits: number, each: Figure): string => {
      const { median, low, high } = each.quotient;
      const starts = each.starts.map((start) => formatNumber(start, 2)).join(", ");
      const [now, then] = [each.now, each.before].map((value) => formatNumber(value, digits));
      const between = `${formatNumber(low, 3)} to ${formatNumber(high, 3)}`;
      return `| ${first} | ${name} | ${now} | ${then} | ${formatNumber(median, 3)} | ${between} | ${starts} |`;
    };
    return [
      row(`${title}, ${engine}, ${pairs} pairs`, "CPU µs per message", 2, cpuUs),
      row("", "messages/s", 0, rate),
    ];
  });
  return [
    `### ${here} against ${before}, turn by turn`,
    "",
    "On one core. The quotient is of two turns of a tenth of a second side by side: its median, where that lies with 95 %",
    "confidence, and the median of each start of both.",
    "",
    `| | | ${here} | ${before} | quotient | 95 % | starts |`,
    "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ...rows,
    "",
  ].join("\n");
}
