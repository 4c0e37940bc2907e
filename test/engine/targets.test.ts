// Targets that cannot be had, limits and timeouts, for every engine: who is told what, and what is counted.

import { describe, expect, test } from "bun:test";

import type { ListenerStats } from "../../src/shared/counters.ts";
import type { Refusal } from "../../src/shared/messages.ts";
import { ENGINES, forEveryEngine } from "../support/engines.ts";
import { Relay } from "../support/relay.ts";
import { SilentTarget } from "../support/silent-target.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const RESETS = ["ECONNRESET", "closed"];

/** How a client that is turned away sees it: a refusal may be faster than its own look at its connection. */
async function turnedAway(relay: Relay): Promise<string> {
  try {
    const client = await relay.connect();
    return await within("the client is told", client.ending);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "?";
  }
}

function refusals(stats: ListenerStats): Partial<Record<Refusal, number>> {
  return Object.fromEntries(Object.entries(stats.refused).filter(([, count]) => count > 0));
}

/** A port on which nothing listens: taken from the system and given back. */
async function unusedPort(): Promise<number> {
  await using server = await WireServer.listen();
  return server.port;
}

forEveryEngine((engine) => {
  test("a target that is down: the client is reset, and it is counted", async () => {
    const port = await unusedPort();
    await using relay = await Relay.start(engine, { target: `127.0.0.1:${port}` });
    expect(RESETS).toContain(await turnedAway(relay));
    await until("it is counted", () => relay.stats.active === 0);
    expect(refusals(relay.stats)).toEqual({ target_down: 1 });
    expect(relay.stats.errors.ECONNREFUSED).toBe(1);
    expect(relay.stats.targets[0]).toMatchObject({ connects: 0, failures: 1, active: 0 });
    await until("no row is left", () => relay.proxy.connections().length === 0);
  });

  test("a target that never answers: the client is reset after the connect timeout", async () => {
    if (process.platform !== "linux") return;
    using target = await SilentTarget.start();
    await using relay = await Relay.start(engine, { target: target.target, connectMs: 300 });
    const client = await relay.connect();
    await client.write("sent before the target is there");
    const start = performance.now();
    expect(RESETS).toContain(await within("the client is told", client.ending));
    const elapsed = performance.now() - start;
    expect(elapsed).toBeGreaterThan(200);
    expect(elapsed).toBeLessThan(2_000);
    await until("it is counted", () => relay.stats.active === 0);
    expect(refusals(relay.stats)).toEqual({ connect_timeout: 1 });
    await until("no row is left", () => relay.proxy.connections().length === 0);
  });

  test("a client that resets while its target is being connected frees its row", async () => {
    if (process.platform !== "linux") return;
    using target = await SilentTarget.start();
    await using relay = await Relay.start(engine, { target: target.target, connectMs: 60_000 });
    const client = await relay.connect();
    await until("the row is there", () => relay.proxy.connections().length === 1);
    client.reset();
    await until("the row is free", () => relay.proxy.connections().length === 0);
    expect(relay.stats.active).toBe(0);
  });

  test("what a client sends before its target is connected is not lost", async () => {
    await using server = await WireServer.listen();
    await using relay = await Relay.start(engine, { target: server.target });
    for (let i = 0; i < 50; i++) {
      const client = await relay.connect();
      void client.write(`early ${i}`);
      client.end();
      const target = await within("the target", server.accept());
      expect(await within("the bytes", target.readAll())).toBe(`early ${i}`);
      target.end();
    }
  });

  test("the next address is tried when the first refuses", async () => {
    await using server = await WireServer.echo();
    await using relay = await Relay.start(
      engine,
      { target: `db.test:${server.port}` },
      { lookup: async () => ["127.0.0.9", "127.0.0.1"] },
    );
    const client = await relay.connect();
    await client.write("second");
    expect(await within("the echo", client.readBytes(6))).toBe("second");
    expect(relay.proxy.connections()[0]!.target).toBe(`127.0.0.1:${server.port}`);
    expect(refusals(relay.stats)).toEqual({});
  });

  test("the next address is tried when the first does not answer", async () => {
    if (process.platform !== "linux") return;
    using silent = await SilentTarget.start();
    await using server = await WireServer.echo({ host: "127.0.0.2", port: silent.port });
    await using relay = await Relay.start(
      engine,
      { target: `db.test:${silent.port}`, connectMs: 1_000 },
      { lookup: async () => ["127.0.0.1", "127.0.0.2"] },
    );
    const client = await relay.connect();
    await client.write("second");
    expect(await within("the echo", client.readBytes(6), 3_000)).toBe("second");
    expect(server.accepted).toBe(1);
  });

  test("a name that does not resolve refuses clients until it does", async () => {
    await using relay = await Relay.start(
      engine,
      { target: "nowhere.test:80" },
      { lookup: () => Promise.reject(new Error("ENOTFOUND")) },
    );
    expect(RESETS).toContain(await turnedAway(relay));
    await until("it is counted", () => refusals(relay.stats).no_address === 1);
    await until("it is over", () => relay.stats.active === 0);
  });

  test("max_connections refuses at once, is counted, and lets the next one in", async () => {
    await using server = await WireServer.echo();
    await using relay = await Relay.start(engine, { target: server.target, maxConnections: 2 });
    const first = await relay.connect();
    const second = await relay.connect();
    await second.write("ok");
    await second.readBytes(2);
    await until("two rows", () => relay.proxy.connections().length === 2);
    expect(RESETS).toContain(await turnedAway(relay));
    await until("it is counted", () => relay.stats.refused.max_connections === 1);
    expect(refusals(relay.stats)).toEqual({ max_connections: 1 });
    expect(server.accepted).toBe(2);
    first.reset();
    await until("one row", () => relay.proxy.connections().length === 1);
    const fourth = await relay.connect();
    await fourth.write("in");
    expect(await within("the fourth is served", fourth.readBytes(2))).toBe("in");
  });

  test("max_connections holds over all workers together", async () => {
    await using server = await WireServer.echo();
    await using relay = await Relay.start(
      engine,
      { target: server.target, maxConnections: 5 },
      { workers: 3 },
    );
    // A refusal may be faster than the client's own look at its connection.
    const attempts = await Promise.allSettled(Array.from({ length: 15 }, () => relay.connect()));
    const clients = attempts.flatMap((attempt) =>
      attempt.status === "fulfilled" ? [attempt.value] : [],
    );
    await until("ten are turned away", () => relay.stats.refused.max_connections === 10);
    await until("five are open", () => relay.stats.active === 5);
    await until("five are served", () => server.accepted === 5);
    for (const client of clients) client.destroy();
    await until("all are gone", () => relay.stats.active === 0);
  });

  test("a connection on which nothing moves is reset after the idle timeout", async () => {
    await using server = await WireServer.listen();
    await using relay = await Relay.start(engine, { target: server.target, idleMs: 300 });
    const start = performance.now();
    const client = await relay.connect();
    const target = await server.accept();
    expect(await within("the client's reset", client.ending)).toBe("ECONNRESET");
    expect(await within("the target's reset", target.ending)).toBe("ECONNRESET");
    const elapsed = performance.now() - start;
    expect(elapsed).toBeGreaterThan(250);
    expect(elapsed).toBeLessThan(1_500);
    await until("no row is left", () => relay.proxy.connections().length === 0);
  });

  test("a connection is reset when its lifetime is over, whatever it does", async () => {
    await using server = await WireServer.echo();
    await using relay = await Relay.start(engine, { target: server.target, lifetimeMs: 600 });
    const start = performance.now();
    const client = await relay.connect();
    let over = false;
    void client.ending.then(() => (over = true));
    for (let i = 1; !over; i++) {
      client.socket.write("x");
      await until("the echo, or the end", () => over || client.received === i);
    }
    expect(await within("the client's reset", client.ending)).toBe("ECONNRESET");
    const elapsed = performance.now() - start;
    expect(elapsed).toBeGreaterThan(590);
    expect(elapsed).toBeLessThan(2_000);
    expect(client.received).toBeGreaterThan(10);
    await until("no row is left", () => relay.proxy.connections().length === 0);
  });

  for (const direction of ["up", "down"] as const) {
    test(`bytes that go ${direction} put the idle timeout off`, async () => {
      await using server = await WireServer.listen();
      await using relay = await Relay.start(engine, { target: server.target, idleMs: 400 });
      const client = await relay.connect();
      const target = await server.accept();
      const [from, to] = direction === "up" ? [client, target] : [target, client];
      for (let i = 1; i <= 8; i++) {
        await from.write("x");
        await until("the byte arrives", () => to.received === i);
        await Bun.sleep(150); // time itself is what is tested
      }
      expect(relay.proxy.connections()).toHaveLength(1);
      expect(await within("then it is idle", client.ending)).toBe("ECONNRESET");
    });
  }
});

describe("a listener that cannot be opened", () => {
  for (const engine of ENGINES) {
    test(`engine ${engine}: an address in use is named, with the reason and the cure`, async () => {
      await using server = await WireServer.listen();
      const listen = `127.0.0.1:${server.port}`;
      const start = Relay.start(engine, { listen, target: "127.0.0.1:1" });
      const error = await start.then(
        () => null,
        (reason: unknown) => reason as Error & { code: string },
      );
      expect(error?.code).toBe("ERR_LISTEN");
      expect(error?.message).toContain(listen);
      expect(error?.message).toContain("EADDRINUSE");
    });

    test(`engine ${engine}: another proxy's address is not shared with it`, async () => {
      await using server = await WireServer.echo();
      await using first = await Relay.start(engine, { target: server.target }, { workers: 2 });
      const { bound } = first;
      if (bound.kind !== "ip") throw new Error("not an IP address");
      const listen = `127.0.0.1:${bound.port}`;
      const again = Relay.start(engine, { listen, target: server.target }, { workers: 2 });
      expect(
        await again.then(
          () => "opened",
          (error: { code: string }) => error.code,
        ),
      ).toBe("ERR_LISTEN");
    });

    test(`engine ${engine}: an address of another machine`, async () => {
      const start = Relay.start(engine, { listen: "192.0.2.1:0", target: "127.0.0.1:1" });
      const message = await start.then(
        () => "opened",
        (error: Error) => error.message,
      );
      expect(message).toContain("192.0.2.1:0");
      expect(message).toContain("EADDRNOTAVAIL");
    });
  }
});
