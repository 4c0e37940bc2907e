// Who may connect, for every engine: access lists, connections for each address, and new connections each second, exact over
// all workers.

import { expect, test } from "bun:test";

import { forEveryEngine } from "../support/engines.ts";
import { LogLines } from "../support/log-lines.ts";
import type { ListenerOptions } from "../support/plan.ts";
import { Relay } from "../support/relay.ts";
import { Threads } from "../support/threads.ts";
import { until, within } from "../support/until.ts";
import { type Wire, WireServer } from "../support/wire.ts";

async function served(connecting: Promise<Wire>): Promise<Wire> {
  const client = await connecting;
  await client.write("ping");
  expect(await within("the echo", client.readHead(4))).toBe("ping");
  return client;
}

forEveryEngine((engine) => {
  async function withRelay(
    options: Omit<ListenerOptions, "target">,
    use: (relay: Relay, log: LogLines) => Promise<void>,
    workers = 1,
  ): Promise<void> {
    await using server = await WireServer.echo();
    const log = new LogLines();
    const listener = { target: server.target, ...options };
    await using relay = await Relay.start(engine, listener, { workers, log: log.log });
    await use(relay, log);
  }

  test("who is denied is turned away, counted and named, and others are served", () =>
    withRelay({ access: { deny: ["127.0.0.2"] } }, async (relay, log) => {
      expect(await relay.refusal(relay.connectFrom("127.0.0.2"))).toBe("ECONNRESET");
      (await served(relay.connectFrom("127.0.0.3"))).end();
      expect(relay.stats.refused.denied).toBe(1);
      expect(relay.stats.total).toBe(1);
      await until("it is logged", () => log.of("refused").length > 0);
      expect(log.of("refused")[0]!.fields).toMatchObject({ reason: "denied", detail: "127.0.0.2" });
    }));

  test("with allow only who stands there is served, and deny wins", () =>
    withRelay({ access: { allow: ["127.0.0.0/29"], deny: ["127.0.0.6"] } }, async (relay) => {
      (await served(relay.connectFrom("127.0.0.5"))).end();
      expect(await relay.refusal(relay.connectFrom("127.0.0.6"))).toBe("ECONNRESET");
      expect(await relay.refusal(relay.connectFrom("127.0.0.8"))).toBe("ECONNRESET");
      expect(relay.stats.refused.denied).toBe(2);
    }));

  test("IPv6 clients have lists of their own, and an IPv4 client is one on a socket of both families", async () => {
    await withRelay({ listen: "[::1]:0", access: { deny: ["::1"] } }, async (relay) => {
      expect(await relay.refusal()).toBe("ECONNRESET");
    });
    await withRelay({ listen: "[::1]:0", access: { deny: ["127.0.0.0/8"] } }, async (relay) => {
      (await served(relay.connect())).end();
    });
    await withRelay({ listen: ":0", access: { allow: ["::/0", "127.0.0.7"] } }, async (relay) => {
      (await served(relay.connectFrom("127.0.0.7"))).end();
      expect(await relay.refusal(relay.connectFrom("127.0.0.8"))).toBe("ECONNRESET");
    });
  });

  test("no address has more connections than max_per_ip, over two workers, whenever they come", () =>
    withRelay(
      { maxPerIp: 5 },
      async (relay) => {
        for (let round = 0; round < 4; round++) {
          const clients = await Promise.all(
            Array.from({ length: 20 }, () => relay.connect().catch(() => null)),
          );
          const answers = clients.map(async (client) => {
            if (client === null) return null;
            void client.write("ping");
            const head = client.readHead(4).catch(() => null);
            return (await within("the answer", head)) === "ping" ? client : null;
          });
          const admitted = (await Promise.all(answers)).filter((client) => client !== null);
          expect(admitted).toHaveLength(5);
          (await served(relay.connectFrom("127.0.0.9"))).end();
          for (const client of admitted) client.end();
          await until("all are over", () => relay.stats.active === 0);
        }
        expect(relay.stats.refused.max_per_ip).toBe(4 * 15);
        expect(relay.stats.total).toBe(4 * 6);
      },
      2,
    ));

  test("a client that max_connections turns away does not count as one of its address", () =>
    withRelay({ maxPerIp: 2, maxConnections: 1 }, async (relay) => {
      const first = await served(relay.connect());
      for (let i = 0; i < 3; i++) expect(await relay.refusal()).toBe("ECONNRESET");
      expect(relay.stats.refused.max_connections).toBe(3);
      first.end();
      await until("it is over", () => relay.stats.active === 0);
      (await served(relay.connect())).end();
    }));

  test("the connections of a worker that crashed are counted out", async () => {
    using threads = new Threads();
    await withRelay({ maxPerIp: 1 }, async (relay) => {
      const client = await served(relay.connect());
      threads.crash(threads.all[0]!);
      relay.proxy.disconnect(0, -1); // wakes a worker that blocks in a system call
      await within("its end", client.ending);
      await until("clients are served again", async () => {
        const again = await relay.connect().catch(() => null);
        void again?.write("ping");
        return (await again?.readHead(4).catch(() => null)) === "ping";
      });
    });
  });

  test("accept_rate admits as many as it says, and goes on when time has passed", () =>
    withRelay(
      { acceptRate: 10 },
      async (relay) => {
        const began = performance.now();
        const endings = Array.from({ length: 40 }, () => relay.refusal());
        await until("all are decided", () => {
          const { total, refused } = relay.stats;
          return total + refused.accept_rate === 40;
        });
        const { total } = relay.stats;
        expect(total).toBeGreaterThanOrEqual(10);
        expect(total).toBeLessThanOrEqual(10 + Math.ceil((performance.now() - began) / 100));
        await until("one more is admitted", async () => {
          const client = await relay.connect().catch(() => null);
          void client?.write("ping");
          return (await client?.readHead(4).catch(() => null)) === "ping";
        });
        await relay.proxy.kill();
        await Promise.all(endings);
      },
      2,
    ));
});
