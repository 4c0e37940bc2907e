// A worker that throws is replaced: its listeners come back on the same address, and its counters stay.

import { expect, spyOn, test } from "bun:test";
import { Worker } from "node:worker_threads";

import { forEveryEngine } from "../support/engines.ts";
import { Relay } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

/** Starts a relay and returns its worker threads beside it: a spy sees on whom commands are posted. */
async function startObserved(
  start: () => Promise<Relay>,
): Promise<{ relay: Relay; threads: Worker[] }> {
  const post = spyOn(Worker.prototype, "postMessage");
  try {
    const relay = await start();
    return { relay, threads: [...new Set(post.mock.contexts as Worker[])] };
  } finally {
    post.mockRestore();
  }
}

forEveryEngine((engine) => {
  for (const workers of [1, 2]) {
    test(`one of ${workers} workers crashes: it is counted and its listeners come back`, async () => {
      await using server = await WireServer.listen();
      const { relay, threads } = await startObserved(() =>
        Relay.start(engine, { target: server.target }, { workers }),
      );
      await using _ = relay;
      expect(threads).toHaveLength(workers);
      const bound = relay.bound;
      const before = await relay.connect();
      await before.write("counted");
      const target = await within("the target", server.accept());
      await target.readBytes(7);
      const { worker } = relay.proxy.connections()[0]!;

      threads[worker]!.postMessage({ type: "no such command" });
      relay.proxy.disconnect(worker, -1); // wakes a worker that blocks in a system call

      await within("its connection ends", before.ending);
      await within("its target's, too", target.ending);
      await until("the crash is counted", () => relay.proxy.stats().workerRestarts === 1);
      expect(relay.bound).toEqual(bound);
      await until("clients are served again", async () => {
        const client = await relay.connect().catch(() => null);
        if (client === null) return false;
        void client.write("again");
        const reached = await Promise.race([server.accept(), client.ending]);
        client.reset();
        return typeof reached === "object";
      });
      // Every listening socket is served: none of the crashed worker's is left to swallow clients.
      for (let i = 0; i < 40; i++) {
        const client = await relay.connect();
        void client.write("x");
        const reached = await within("the target", server.accept());
        await reached.readBytes(1);
        reached.reset();
        await within("the client's end", client.ending);
      }
      await until("no row is left", () => relay.proxy.connections().length === 0);
      expect(relay.stats.active).toBe(0);
      expect(relay.stats.bytesUp).toBeGreaterThanOrEqual(7 + 40);
      expect(relay.stats.total).toBeGreaterThanOrEqual(42);
    }, 30_000);
  }
});
