// A reader that stops for ten seconds while its sender goes on as fast as it can: the relay holds the sender back instead of
// holding bytes, and loses none. Both directions of one proxy stall at once, and the engines at the same time.

import { expect, test } from "bun:test";

import { LISTENER_DEFAULTS } from "../../src/shared/limits.ts";
import type { EngineName } from "../../src/shared/plan.ts";
import { ENGINES } from "../support/engines.ts";
import { makePlan } from "../support/plan.ts";
import { cpuMs, residentBytes } from "../support/proc.ts";
import { RelayChild } from "../support/relay-child.ts";
import { within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const MIB = 1024 * 1024;
const STALL_MS = 10_000;
const BYTES = 96 * MIB;
const WARM_UP_BYTES = 16 * MIB;
/** Two connections, each with two directions. */
const WATERMARKS = 4 * LISTENER_DEFAULTS.highWatermarkBytes;

interface Outcome {
  engine: EngineName;
  grownBytes: number;
  cpuMs: number;
}

async function stall(engine: EngineName): Promise<Outcome> {
  await using server = await WireServer.listen();
  await using relay = await RelayChild.start(makePlan({ engine }, { target: server.target }));

  const warm = await relay.connect();
  const warmTarget = await server.accept();
  const warmed = warmTarget.expectStream(1, WARM_UP_BYTES);
  await warm.sendStream(1, WARM_UP_BYTES);
  warm.end();
  await warmed;
  warmTarget.end();
  await warm.closed;
  const before = residentBytes(relay.pid);

  const up = await relay.connect();
  const upTarget = await server.accept();
  const down = await relay.connect();
  const downTarget = await server.accept();
  for (const reader of [upTarget, down]) reader.socket.pause();
  const sent = [
    up.sendStream(3, BYTES, MIB).then(() => up.end()),
    downTarget.sendStream(4, BYTES, MIB).then(() => downTarget.end()),
  ];
  await Bun.sleep(STALL_MS / 2); // time itself is what is tested
  const cpuAtHalf = cpuMs(relay.pid);
  await Bun.sleep(STALL_MS / 2);
  const outcome = {
    engine,
    grownBytes: residentBytes(relay.pid) - before,
    cpuMs: cpuMs(relay.pid) - cpuAtHalf,
  };
  const arrived = [upTarget.expectStream(3, BYTES), down.expectStream(4, BYTES)];
  for (const reader of [upTarget, down]) reader.socket.resume();
  await within("all bytes", Promise.all([...arrived, ...sent]), 40_000);
  return outcome;
}

test.if(process.platform === "linux")(
  "a reader that stalls for 10 s costs less than 16 MiB over the watermarks, no CPU time, and no byte",
  async () => {
    for (const outcome of await Promise.all(ENGINES.map(stall))) {
      const said = JSON.stringify(outcome);
      expect(outcome.grownBytes, said).toBeLessThan(WATERMARKS + 16 * MIB);
      expect(outcome.cpuMs, said).toBeLessThan(STALL_MS / 2 / 10);
    }
  },
  60_000,
);
