// Few long connections are spread evenly over the workers, wherever the kernel's hash put them: a worker that has more than
// another hands its new client over. Many short ones stay where they are.

import { expect, test } from "bun:test";

import { forEveryEngine } from "../support/engines.ts";
import { Relay } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

const ROUNDS = 16;
const CROWD = 100;

forEveryEngine((engine) => {
  if (engine === "bun") return; // it takes no descriptors from another worker

  async function echoServer(): Promise<WireServer> {
    return WireServer.listen((wire) => {
      wire.onData((chunk) => void wire.write(chunk));
      void wire.ending.then(() => wire.end());
    });
  }

  async function useOnce(relay: Relay): Promise<Wire> {
    const client = await relay.connect();
    await client.write("ping");
    expect(await within("the echo", client.readHead(4))).toBe("ping");
    return client;
  }

  function workersOf(relay: Relay): number[] {
    return relay.proxy.connections().map(({ worker }) => worker);
  }

  test("two connections are always on two workers", async () => {
    await using server = await echoServer();
    await using relay = await Relay.start(engine, { target: server.target }, { workers: 2 });
    for (let round = 0; round < ROUNDS; round++) {
      const clients = [await useOnce(relay), await useOnce(relay)];
      expect(workersOf(relay).toSorted()).toEqual([0, 1]);
      for (const client of clients) client.end();
      await until("both are over", () => relay.stats.active === 0);
    }
  });

  test("a crowd that comes at once is spread over all workers", async () => {
    await using server = await echoServer();
    await using relay = await Relay.start(engine, { target: server.target }, { workers: 8 });
    const clients = await Promise.all(Array.from({ length: CROWD }, () => useOnce(relay)));
    const perWorker = Array.from(
      { length: 8 },
      (_, w) => workersOf(relay).filter((each) => each === w).length,
    );
    // Of an even share there are 12 or 13. Who is handed over by all at once must not end up with one of them.
    expect(Math.max(...perWorker)).toBeLessThanOrEqual(CROWD / 4);
    expect(Math.min(...perWorker)).toBeGreaterThan(0);
    for (const client of clients) client.end();
    await until("all are over", () => relay.stats.active === 0);
  }, 30_000);

  test("a client that was handed over is counted, named and limited like any other", async () => {
    await using server = await echoServer();
    await using relay = await Relay.start(
      engine,
      { target: server.target, maxConnections: 6 },
      { workers: 3 },
    );
    const clients: Wire[] = [];
    for (let i = 0; i < 6; i++) clients.push(await useOnce(relay));
    const perWorker = [0, 1, 2].map((w) => workersOf(relay).filter((each) => each === w).length);
    expect(Math.max(...perWorker) - Math.min(...perWorker)).toBeLessThanOrEqual(1);
    const names = relay.proxy.connections().map(({ client }) => client);
    expect(names.toSorted()).toEqual(
      clients.map(({ socket }) => `127.0.0.1:${socket.localPort}`).toSorted(),
    );
    expect(relay.stats).toMatchObject({ active: 6, total: 6 });
    // The reset may overtake the connect event.
    const seventh = relay.connect().then(
      (wire) => wire.ending,
      (error) => error.code,
    );
    expect(await within("the refusal", seventh)).toBe("ECONNRESET");
    for (const client of clients) client.end();
    await until("all are over", () => relay.stats.active === 0);
    (await useOnce(relay)).end();
  });

  test("clients that connect while the proxy stops are served, also those that are handed over", async () => {
    await using server = await echoServer();
    await using relay = await Relay.start(engine, { target: server.target }, { workers: 2 });
    const clients = await Promise.all(Array.from({ length: 24 }, () => relay.connect()));
    const stopped = relay.proxy.stop(30_000);
    await Promise.all(
      clients.map(async (client) => {
        await client.write("ping");
        expect(await within("the echo", client.readHead(4))).toBe("ping");
        client.end();
      }),
    );
    expect(await within("the stop", stopped)).toEqual({ reset: 0 });
  });
});
