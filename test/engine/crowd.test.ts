// 1,000 connections at once with random sizes, random pace and random order of half-closes. A failure names its seed.

import { expect, test } from "bun:test";

import { forEveryEngine } from "../support/engines.ts";
import { Relay } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { type Wire, WireServer } from "../support/wire.ts";

const CONNECTIONS = 1_000;
const SIZE_MAX_BYTES = 200_000;
const HEAD_BYTES = 8;

/** mulberry32: a reproducible stream of numbers below 1. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

interface Exchange {
  readonly seed: number;
  readonly up: number;
  readonly down: number;
  /** Who sends its FIN only after it has seen the other's. */
  readonly waits: "client" | "target" | "nobody";
  readonly chunk: number;
}

async function play(wire: Wire, send: number, receive: number, waits: boolean, e: Exchange) {
  const [sendSeed, receiveSeed] = send === e.up ? [e.seed, e.seed + 1] : [e.seed + 1, e.seed];
  const arrived = wire.expectStream(receiveSeed, receive);
  await wire.sendStream(sendSeed, send, e.chunk);
  if (waits) await arrived;
  wire.end();
  await arrived;
}

forEveryEngine((engine) => {
  test("1,000 connections at once, random sizes and half-closes, all intact", async () => {
    const seed = Math.trunc(Math.random() * 2 ** 31);
    const random = randomFrom(seed);
    const exchanges: Exchange[] = Array.from({ length: CONNECTIONS }, (_, i) => ({
      seed: 2 * i,
      up: 1 + Math.trunc(random() ** 3 * SIZE_MAX_BYTES) * 2, // odd up, even down: never the same
      down: Math.trunc(random() ** 3 * SIZE_MAX_BYTES) * 2,
      waits: (["client", "target", "nobody"] as const)[Math.trunc(random() * 3)]!,
      chunk: 1 + Math.trunc(random() * 40_000),
    }));
    const atTarget: Promise<void>[] = [];
    await using server = await WireServer.listen((wire) => {
      atTarget.push(
        wire.readHead(HEAD_BYTES).then((head) => {
          const e = exchanges[Number(head)]!;
          return play(wire, e.down, e.up, e.waits === "target", e);
        }),
      );
    });
    await using relay = await Relay.start(engine, { target: server.target }, { workers: 2 });
    const wires = await Promise.all(exchanges.map(() => relay.connect()));
    await until("all are open", () => relay.stats.targets[0]!.active === CONNECTIONS);
    expect(relay.proxy.connections()).toHaveLength(CONNECTIONS);
    const atClient = exchanges.map(async (e, i) => {
      const wire = wires[i]!;
      await wire.write(String(i).padStart(HEAD_BYTES, "0"));
      await play(wire, e.up, e.down, e.waits === "client", e);
    });
    try {
      await within("all clients", Promise.all(atClient), 40_000);
      await within("all targets", Promise.all(atTarget), 10_000);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    await until("no row is left", () => relay.proxy.connections().length === 0);
    const sum = (pick: (e: Exchange) => number): number =>
      exchanges.reduce((total, e) => total + pick(e), 0);
    expect(relay.stats).toMatchObject({
      total: CONNECTIONS,
      active: 0,
      bytesUp: sum((e) => e.up + HEAD_BYTES),
      bytesDown: sum((e) => e.down),
    });
  }, 60_000);
});
