// Out of descriptors (a low `ulimit -n`): clients wait or are turned away, connections that are open go on, the process does
// not spin, and it serves again as soon as descriptors are free.

import { expect, test } from "bun:test";

import { forEveryEngine } from "../support/engines.ts";
import { makePlan } from "../support/plan.ts";
import { countDescriptors, cpuMs } from "../support/proc.ts";
import { RelayChild } from "../support/relay-child.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

const LIMIT = 160;
const CLIENTS = 150;
const WATCHED_MS = 1_500;
/** Of the limit, that are left for whatever else needs one. */
const SPARE = 32;

/** A client that is turned away may see that before its connect returns. */
async function tryConnect(relay: RelayChild): Promise<Wire[]> {
  return relay.connect().then(
    (wire) => [wire],
    () => [],
  );
}

forEveryEngine((engine) => {
  test.if(process.platform === "linux")(
    "without descriptors it neither spins nor drops what is open, and it recovers",
    async () => {
      await using server = await WireServer.echo();
      await using relay = await RelayChild.start(makePlan({ engine }, { target: server.target }), {
        descriptors: LIMIT,
      });
      const first = await relay.connect();
      await first.write("a");
      await first.readBytes(1);
      const crowd = (
        await Promise.all(Array.from({ length: CLIENTS }, () => tryConnect(relay)))
      ).flat();
      await until("the limit is felt", async () => {
        const { stats, warnings } = await relay.state();
        const refused = stats.refused.descriptors + stats.refused.table_full;
        return refused > 0 || warnings.some((warning) => warning.includes("descriptors"));
      });
      expect(countDescriptors(relay.pid).all).toBeLessThanOrEqual(LIMIT);

      const before = cpuMs(relay.pid);
      await Bun.sleep(WATCHED_MS); // time itself is what is tested
      expect(cpuMs(relay.pid) - before).toBeLessThan(WATCHED_MS / 5);

      const echoed = first.readBytes(10);
      await first.write("still here");
      expect(await within("the first connection goes on", echoed)).toBe("still here");

      for (const client of crowd) client.reset();
      await until("the crowd is gone", async () => (await relay.state()).rows === 1);
      const late = await relay.connect();
      await late.write("served");
      expect(await within("a new client is served", late.readBytes(6))).toBe("served");
    },
    30_000,
  );

  if (engine === "bun") return; // its workers look at the numbers of descriptors

  test("several workers together let in nobody for whom there is no descriptor towards the target", async () => {
    await using server = await WireServer.echo();
    await using relay = await RelayChild.start(
      makePlan({ engine, workers: 4 }, { target: server.target }),
      { descriptors: 2 * LIMIT },
    );
    // Not so many that those whom the kernel accepts at once (uring) take all by themselves.
    const tries = Array.from({ length: CLIENTS + 20 }, () => tryConnect(relay));
    const crowd = (await Promise.all(tries)).flat();
    await until("the limit is felt", async () => {
      const { stats, warnings } = await relay.state();
      const isTold = warnings.some((warning) => warning.includes("descriptors"));
      return isTold || stats.refused.table_full > 0;
    });
    const { stats } = await relay.state();
    expect(stats.refused.descriptors).toBe(0);
    expect(countDescriptors(relay.pid).all).toBeLessThan(2 * LIMIT - SPARE);
    for (const client of crowd) client.reset();
    await until("a new client is served", async () => {
      const [late] = await tryConnect(relay);
      const answer = late?.readBytes(6).catch(() => "");
      await late?.write("served").catch(() => {});
      const heard = await within("an answer", Promise.resolve(answer));
      late?.reset();
      return heard === "served";
    });
  }, 30_000);
});
