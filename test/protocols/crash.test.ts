// What a gateway worker that throws leaves behind of itself: nothing that the system keeps for it.

import { expect, test } from "bun:test";

import { HttpProxy, Talk } from "../support/http-proxy.ts";
import { descriptors } from "../support/proc.ts";
import { Threads } from "../support/threads.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const CRASHES = 2;

/** Event loops, and what reads ahead of them. */
function openPolls(): number {
  return descriptors(process.pid).filter((name) => name.includes("eventpoll")).length;
}

/** A client and its request are open when the worker that has them crashes. */
async function beginRequest(proxy: HttpProxy, target: WireServer): Promise<Talk[]> {
  const client = await proxy.connect();
  await client.say("GET / HTTP/1.1\r\nhost: a.example\r\n\r\n");
  const far = await Talk.accept(target);
  await far.head();
  return [client, far];
}

async function crash(threads: Threads, proxy: HttpProxy, crashes: number): Promise<void> {
  threads.crash(threads.all.at(-1)!);
  const { proxy: running } = proxy;
  await until("the crash is counted", () => running.stats().workerRestarts === crashes);
  await until("the listener is back", () => running.listeners()[0]!.workers.length === 1);
}

test.if(process.platform === "linux")(
  "a gateway worker that crashes leaves nothing open",
  async () => {
    using threads = new Threads();
    await using target = await WireServer.listen();
    const before = openPolls();
    {
      await using proxy = await HttpProxy.start({ target: `http://${target.target}` });
      for (let crashes = 1; crashes <= CRASHES; crashes++) {
        const ends = await beginRequest(proxy, target);
        await crash(threads, proxy, crashes);
        for (const end of ends) {
          await within("the connection's end", end.rest());
          end.wire.reset();
        }
      }
    }
    await until("all is closed", () => openPolls() === before);
  },
);

test.if(process.platform === "linux")(
  "one that ends in order leaves nothing open either",
  async () => {
    await using target = await WireServer.listen();
    const before = openPolls();
    {
      await using proxy = await HttpProxy.start({ target: `http://${target.target}` });
      for (const end of await beginRequest(proxy, target)) end.wire.reset();
      expect(openPolls()).toBeGreaterThan(before);
    }
    await until("all is closed", () => openPolls() === before);
  },
);
