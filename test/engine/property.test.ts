// Any interleaving of writes, pauses, half-closes on both sides arrives intact. fast-check prints the seed and the smallest
// failing script.

import { test } from "bun:test";

import * as fc from "fast-check";

import { streamBytes, StreamCheck } from "../support/bytes.ts";
import { inFolder } from "../support/daemon.ts";
import { forEveryEngine } from "../support/engines.ts";
import { Relay } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { type Wire, WireServer } from "../support/wire.ts";

type Step =
  | { do: "write"; bytes: number }
  | { do: "pause" }
  | { do: "resume" }
  | { do: "yield" }
  | { do: "flush" };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("write" as const), bytes: sizes() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("pause" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("resume" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("yield" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("flush" as const) }) },
);

/** Around the sizes where a relay changes its ways: one byte, one copy, one pipe, more than a socket holds. */
function sizes(): fc.Arbitrary<number> {
  return fc.oneof(
    fc.integer({ min: 1, max: 100 }),
    fc.integer({ min: 65_000, max: 66_000 }),
    fc.integer({ min: 1, max: 1_000_000 }),
  );
}

const script: fc.Arbitrary<Script> = fc.record({
  client: fc.array(step, { maxLength: 12 }),
  target: fc.array(step, { maxLength: 12 }),
  /** Ends its direction only after the other's end was seen; false: as soon as its script is over. */
  clientWaits: fc.boolean(),
  targetWaits: fc.boolean(),
});

interface Script {
  client: Step[];
  target: Step[];
  clientWaits: boolean;
  targetWaits: boolean;
}

class Actor {
  readonly #wire: Wire;
  readonly #seed: number;
  readonly check: StreamCheck;
  sent = 0;

  constructor(wire: Wire, seed: number, peerSeed: number) {
    this.#wire = wire;
    this.#seed = seed;
    this.check = new StreamCheck(peerSeed);
  }

  async play(steps: readonly Step[], waits: boolean): Promise<void> {
    const wire = this.#wire;
    let failure: unknown;
    wire.onData((chunk) => {
      try {
        this.check.take(chunk);
      } catch (error) {
        failure ??= error;
      }
    });
    for (const item of steps) {
      if (item.do === "write") {
        wire.socket.write(streamBytes(this.#seed, this.sent, item.bytes));
        this.sent += item.bytes;
      } else if (item.do === "pause") wire.socket.pause();
      else if (item.do === "resume") wire.socket.resume();
      else if (item.do === "yield") await Bun.sleep(1);
      else await new Promise((resolve) => setImmediate(resolve));
    }
    wire.socket.resume();
    if (!waits) wire.end();
    const ending = await wire.ending;
    if (waits) wire.end();
    if (failure !== undefined) throw failure;
    if (ending !== "fin") throw new Error(`ended with ${ending}`);
  }
}

async function holds(relay: Relay, server: WireServer, run: Script): Promise<void> {
  const client = await relay.connect();
  const target = await within("the target", server.accept());
  const up = new Actor(client, 1, 2);
  const down = new Actor(target, 2, 1);
  const both = [
    up.play(run.client, run.clientWaits && !run.targetWaits),
    down.play(run.target, run.targetWaits),
  ];
  await within("the script", Promise.all(both), 5_000);
  if (up.check.received !== down.sent || down.check.received !== up.sent) {
    const arrived = `up ${down.check.received} of ${up.sent}`;
    throw new Error(`${arrived}, down ${up.check.received} of ${down.sent}`);
  }
  await until("no row is left", () => relay.proxy.connections().length === 0);
}

/** A long script waits many times, and a short one is not done at once. */
const LIMITS = { bytesPerSecond: 32 * 1024 * 1024, connectionBytesPerSecond: 24 * 1024 * 1024 };

forEveryEngine((engine) => {
  for (const kind of ["TCP", "unix", "TCP, with limits and a mirror"] as const) {
    test(
      `any interleaving of writes, pauses and half-closes arrives intact over ${kind}`,
      () =>
        inFolder(async (folder) => {
          const unix = kind === "unix";
          const at = unix ? { path: `${folder}/target` } : { host: "127.0.0.1" };
          await using server = await WireServer.listen(undefined, at);
          await using mirror = await WireServer.listen((copy) => {
            copy.onData(() => {});
            void copy.ending.then(() => copy.end());
          });
          await using relay = await Relay.start(engine, {
            target: server.target,
            listen: unix ? `unix:${folder}/listen` : "127.0.0.1:0",
            ...(kind === "TCP, with limits and a mirror"
              ? { ...LIMITS, mirror: mirror.target }
              : {}),
          });
          const property = fc.asyncProperty(script, (run) => holds(relay, server, run));
          await fc.assert(property, { numRuns: 120, endOnFailure: true });
        }),
      60_000,
    );
  }
});
