// Copies of what clients send: exact as long as the mirror keeps up, and of no consequence for the connection itself when it is
// slow, down, or resets. For every engine.

import { describe, expect, test } from "bun:test";

import { parseEndpoint } from "../../src/shared/address.ts";
import { RELAY } from "../../src/shared/limits.ts";
import { type EngineName, singleTarget } from "../../src/shared/plan.ts";
import { hello, sni } from "../l4/tls/hellos.ts";
import { streamBytes, StreamCheck } from "../support/bytes.ts";
import { inFolder } from "../support/daemon.ts";
import { forEveryEngine } from "../support/engines.ts";
import { type ListenerOptions, makePlan } from "../support/plan.ts";
import { countDescriptors } from "../support/proc.ts";
import { RelayChild } from "../support/relay-child.ts";
import { Relay } from "../support/relay.ts";
import { SilentTarget } from "../support/silent-target.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

const MIB = 1024 * 1024;

/** A relay with a target and a mirror. */
class Mirrored implements AsyncDisposable {
  readonly target: WireServer;
  readonly mirror: WireServer;
  readonly relay: Relay;

  private constructor(target: WireServer, mirror: WireServer, relay: Relay) {
    this.target = target;
    this.mirror = mirror;
    this.relay = relay;
  }

  static async start(
    engine: EngineName,
    options: Partial<ListenerOptions> = {},
    handler?: (wire: Wire) => void,
  ): Promise<Mirrored> {
    const target = await WireServer.listen();
    const mirror = await WireServer.listen(handler);
    const listener = { target: target.target, mirror: mirror.target, ...options };
    return new Mirrored(target, mirror, await Relay.start(engine, listener));
  }

  async open(): Promise<{ client: Wire; target: Wire }> {
    const client = await this.relay.connect();
    return { client, target: await within("the target", this.target.accept()) };
  }

  /** Everything is over, and every byte that clients sent was copied or counted as dropped. */
  async expectOver(): Promise<void> {
    await until("no row is left", () => this.relay.proxy.connections().length === 0);
    await until("every byte is counted", () => {
      const { mirrored, mirrorDropped, bytesUp } = this.relay.stats;
      return mirrored + mirrorDropped === bytesUp;
    });
    expect(this.relay.proxy.stats().workerRestarts).toBe(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.relay[Symbol.asyncDispose]();
    await this.mirror[Symbol.asyncDispose]();
    await this.target[Symbol.asyncDispose]();
  }
}

/** A whole connection, both ways, whatever its mirror does. */
async function expectUnharmed({ relay, target: server }: Mirrored, length: number): Promise<void> {
  const client = await relay.connect();
  const target = await within("the target", server.accept());
  const up = target.expectStream(1, length);
  const down = client.expectStream(2, length);
  const sent = [
    client.sendStream(1, length).then(() => client.end()),
    target.sendStream(2, length).then(() => target.end()),
  ];
  await within("all bytes", Promise.all([up, down, ...sent]), 20_000);
}

/** A port on which nothing listens. */
async function unusedAddress(): Promise<string> {
  await using server = await WireServer.listen();
  return server.target;
}

forEveryEngine((engine) => {
  describe("a mirror that keeps up", () => {
    test("gets what the client sends, and its FIN while the connection goes on", async () => {
      await using mirrored = await Mirrored.start(engine);
      const { client, target } = await mirrored.open();
      const copy = await within("the copy", mirrored.mirror.accept());
      const all = copy.readAll();
      for (let i = 0; i < 20; i++) {
        void client.socket.write(`message ${i};`);
        await until("it arrives", () => target.received === client.socket.bytesWritten);
      }
      client.end();
      const sent = Array.from({ length: 20 }, (_, i) => `message ${i};`).join("");
      expect(await within("the copy's end", all)).toBe(sent);
      copy.end();
      await within("the copy is closed", copy.closed);
      void target.write("the answer goes on");
      target.end();
      expect(await within("the answer", client.readAll())).toBe("the answer goes on");
      await mirrored.expectOver();
      expect(mirrored.relay.stats).toMatchObject({ mirrored: sent.length, mirrorDropped: 0 });
    });

    test("gets every byte of 64 MiB, in order", async () => {
      await using mirrored = await Mirrored.start(engine);
      const { client, target } = await mirrored.open();
      const copy = await within("the copy", mirrored.mirror.accept());
      const length = 64 * MIB;
      const arrived = [target.expectStream(7, length), copy.expectStream(7, length)];
      const step = 256 * 1024;
      for (let at = 0; at < length; at += step) {
        client.socket.write(streamBytes(7, at, step));
        // Both read as fast as they can: what is on its way fits into the queue of a copy.
        await until("both follow", () => Math.min(copy.received, target.received) >= at - step);
      }
      client.end();
      await within("all bytes", Promise.all(arrived), 20_000);
      copy.end();
      target.end();
      await mirrored.expectOver();
      expect(mirrored.relay.stats).toMatchObject({ mirrored: length, mirrorDropped: 0 });
    }, 60_000);

    test("may answer as much as it likes: nobody hears it", async () => {
      const echo = (wire: Wire): void => {
        wire.socket.write(streamBytes(1, 0, 1_000_000));
        wire.socket.pipe(wire.socket);
      };
      await using mirrored = await Mirrored.start(engine, {}, echo);
      const { client, target } = await mirrored.open();
      const length = 8 * MIB;
      const arrived = target.expectStream(3, length);
      for (let at = 0; at < length; at += 128 * 1024) {
        client.socket.write(streamBytes(3, at, 128 * 1024));
        await until("it is copied", () => mirrored.relay.stats.mirrored >= at);
      }
      client.end();
      await within("all bytes", arrived);
      target.end();
      expect(await within("the end", client.ending)).toBe("fin");
      expect(client.received).toBe(0);
      await mirrored.expectOver();
      expect(mirrored.relay.stats.mirrorDropped).toBe(0);
    });

    test("gets what was sent before it was connected, and over a unix socket too", () =>
      inFolder(async (folder) => {
        const path = `${folder}/mirror`;
        await using mirror = await WireServer.listen(undefined, { path });
        await using target = await WireServer.listen();
        const listener = { target: target.target, mirror: `unix:${path}` };
        await using relay = await Relay.start(engine, listener);
        for (let i = 0; i < 20; i++) {
          const client = await relay.connect();
          client.socket.end(`early ${i}`);
          const copy = await within("the copy", mirror.accept());
          expect(await within("its bytes", copy.readAll())).toBe(`early ${i}`);
          copy.end();
          (await target.accept()).end();
        }
        await until("no row is left", () => relay.proxy.connections().length === 0);
      }));

    test("gets what was read before the target was chosen, and no PROXY header", async () => {
      await using mirrored = await Mirrored.start(engine, {
        proxyProtocol: { accept: "v1", send: "v2", trusted: ["127.0.0.1"] },
        bytesPerSecond: 16 * MIB,
      });
      const client = await mirrored.relay.connect();
      void client.write("PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\nfirst, ");
      const target = await within("the target", mirrored.target.accept());
      const copy = await within("the copy", mirrored.mirror.accept());
      void client.write("second");
      client.end();
      expect(await within("the copy's bytes", copy.readAll())).toBe("first, second");
      expect(await within("the target's", target.readAll())).toEndWith("first, second");
      copy.end();
      target.end();
      await mirrored.expectOver();
      expect(mirrored.relay.stats).toMatchObject({ mirrored: 13, mirrorDropped: 0 });
    });

    test("gets the first TLS message by which a route was chosen", async () => {
      await using server = await WireServer.listen();
      const groups = [singleTarget(parseEndpoint(server.target, "target"))];
      const routes = [{ name: "route", sni: "db.example.com", alpn: null, group: 0 }];
      await using mirrored = await Mirrored.start(engine, { groups, routes });
      const bytes = hello([sni("db.example.com")]);
      const client = await mirrored.relay.connect();
      void client.write(bytes);
      const target = await within("the target", server.accept());
      const copy = await within("the copy", mirrored.mirror.accept());
      client.end();
      expect(Buffer.compare(await within("the copy", copy.readToEnd()), bytes)).toBe(0);
      expect(Buffer.compare(await within("the bytes", target.readToEnd()), bytes)).toBe(0);
      copy.end();
      target.end();
      await mirrored.expectOver();
    });

    test("is told of a client's reset by a reset", async () => {
      await using mirrored = await Mirrored.start(engine);
      const { client, target } = await mirrored.open();
      const copy = await within("the copy", mirrored.mirror.accept());
      void client.write("some");
      await until("it is copied", () => copy.received === 4 && target.received === 4);
      client.reset();
      expect(await within("the copy's end", copy.ending)).toBe("ECONNRESET");
      await mirrored.expectOver();
    });

    test("is copied to under a limit of bandwidth, too", async () => {
      const limits = { bytesPerSecond: 32 * MIB, connectionBytesPerSecond: 24 * MIB };
      await using mirrored = await Mirrored.start(engine, limits);
      const { client, target } = await mirrored.open();
      const copy = await within("the copy", mirrored.mirror.accept());
      const length = 8 * MIB;
      const arrived = [target.expectStream(5, length), copy.expectStream(5, length)];
      await client.sendStream(5, length);
      client.end();
      await within("all bytes", Promise.all(arrived));
    });
  });

  describe("a mirror that does not keep up does not harm the connection", () => {
    test("when it is down", async () => {
      const mirror = await unusedAddress();
      await using mirrored = await Mirrored.start(engine, { mirror });
      await expectUnharmed(mirrored, 32 * MIB);
      await mirrored.expectOver();
      expect(mirrored.relay.stats).toMatchObject({ mirrored: 0, mirrorDropped: 32 * MIB });
    });

    test("when it does not answer", async () => {
      if (process.platform !== "linux") return;
      using silent = await SilentTarget.start();
      await using mirrored = await Mirrored.start(engine, {
        mirror: silent.target,
        connectMs: 500,
      });
      await expectUnharmed(mirrored, 8 * MIB);
      const idle = await mirrored.open();
      void idle.client.write("idle");
      await until("it is given up", () => mirrored.relay.stats.mirrorDropped === 8 * MIB + 4);
      void idle.client.write("goes on");
      expect(await within("the bytes", idle.target.readBytes(11))).toBe("idlegoes on");
      idle.client.reset();
      await mirrored.expectOver();
    });

    test("when it has no address", async () => {
      await using target = await WireServer.echo();
      await using relay = await Relay.start(
        engine,
        { target: target.target, mirror: "nowhere.test:80" },
        { lookup: () => Promise.reject(new Error("ENOTFOUND")) },
      );
      const client = await relay.connect();
      void client.write("alone");
      expect(await within("the echo", client.readBytes(5))).toBe("alone");
      await until("it is counted", () => relay.stats.mirrorDropped === 5);
    });

    test("when it resets", async () => {
      const reset = (wire: Wire): void =>
        wire.onData(() => {
          if (wire.received > MIB) wire.reset();
        });
      await using mirrored = await Mirrored.start(engine, {}, reset);
      await expectUnharmed(mirrored, 32 * MIB);
      await mirrored.expectOver();
      expect(mirrored.relay.stats.mirrorDropped).toBeGreaterThan(0);
    });

    test("when it closes at once", async () => {
      await using mirrored = await Mirrored.start(engine, {}, (wire) => wire.destroy());
      await expectUnharmed(mirrored, 8 * MIB);
      await mirrored.expectOver();
    });

    test("when it never reads: its copy ends with a reset", async () => {
      const copies: Wire[] = [];
      const hold = (wire: Wire): void => {
        wire.socket.pause();
        copies.push(wire);
      };
      await using mirrored = await Mirrored.start(engine, {}, hold);
      await expectUnharmed(mirrored, 64 * MIB);
      await mirrored.expectOver();
      expect(mirrored.relay.stats.mirrorDropped).toBeGreaterThan(0);
      const check = new StreamCheck(1);
      copies[0]!.onData((chunk) => check.take(chunk));
      copies[0]!.socket.resume();
      expect(await within("the copy's end", copies[0]!.ending)).toBe("ECONNRESET");
    }, 40_000);

    test("when it never ends: its copy is reset a few seconds after the client's end", async () => {
      await using mirrored = await Mirrored.start(engine);
      const { client, target } = await mirrored.open();
      const copy = await within("the copy", mirrored.mirror.accept());
      client.end();
      target.end();
      expect(await within("the copy's end", copy.ending)).toBe("fin");
      const start = performance.now();
      await mirrored.expectOver();
      // A reset shows to who writes.
      await until("the reset", () => {
        copy.socket.write("x");
        return copy.socket.destroyed;
      });
      expect(performance.now() - start).toBeLessThan(2 * RELAY.mirrorLingerMs);
    });
  });

  test("the next address of a mirror's name is used when one does not answer", async () => {
    await using target = await WireServer.echo();
    await using mirror = await WireServer.listen();
    await using relay = await Relay.start(
      engine,
      { target: target.target, mirror: `copies.test:${mirror.port}` },
      { lookup: async () => ["127.0.0.9", "127.0.0.1"] },
    );
    const first = await relay.connect();
    void first.write("lost");
    await until("it is counted", () => relay.stats.mirrorDropped === 4);
    const second = await relay.connect();
    void second.write("seen");
    const copy = await within("the copy", mirror.accept());
    expect(await within("its bytes", copy.readBytes(4))).toBe("seen");
  });

  test("a drain waits until the copies are complete", async () => {
    await using mirrored = await Mirrored.start(engine);
    const { client, target } = await mirrored.open();
    const copy = await within("the copy", mirrored.mirror.accept());
    copy.socket.pause();
    const length = 512 * 1024;
    const arrived = target.expectStream(1, length);
    await client.sendStream(1, length);
    const stopped = mirrored.relay.proxy.stop(5_000);
    client.end();
    target.end();
    await within("the connection's bytes", arrived);
    const copied = copy.expectStream(1, length);
    copy.socket.resume();
    await within("the copy", copied);
    copy.end();
    expect(await within("the drain", stopped)).toEqual({ reset: 0 });
  });

  test.if(process.platform === "linux")(
    "2,000 short connections leave no descriptor, pipe or row, whatever the mirror does",
    async () => {
      let count = 0;
      // In turn: reads to the end, resets, closes, never reads.
      await using mirror = await WireServer.listen((wire) => {
        const kind = count++ % 4;
        if (kind === 0) void wire.readAll().then(() => wire.end());
        else if (kind === 1) wire.onData(() => wire.reset());
        else if (kind === 2) wire.destroy();
        else wire.socket.pause();
      });
      await using target = await WireServer.echo();
      const plan = makePlan({ engine }, { target: target.target, mirror: mirror.target });
      await using relay = await RelayChild.start(plan);
      const once = async (i: number): Promise<void> => {
        const client = await relay.connect();
        client.socket.write(streamBytes(1, 0, i % 10 === 0 ? 500_000 : 100));
        if (i % 8 === 0) client.reset();
        else client.end();
        client.onData(() => {});
        await client.closed;
      };
      const many = async (from: number, to: number): Promise<void> => {
        let next = from;
        const lane = async (): Promise<void> => {
          while (next < to) await once(next++);
        };
        await Promise.all(Array.from({ length: 20 }, lane));
      };
      const settled = async (): Promise<void> => {
        await until("no row is left", async () => (await relay.state()).rows === 0);
        let before = -1;
        await until("copies are over", async () => {
          const { sockets } = countDescriptors(relay.pid);
          const same = sockets === before;
          before = sockets;
          if (!same) return false;
          const { stats } = await relay.state();
          return stats.mirrored + stats.mirrorDropped >= stats.bytesUp && sockets <= idleSockets;
        });
      };
      const idleSockets = countDescriptors(relay.pid).sockets;
      await many(0, 200);
      await settled();
      const before = countDescriptors(relay.pid);
      await within("all connections", many(200, 2_200), 50_000);
      await settled();
      expect(countDescriptors(relay.pid).sockets).toBe(before.sockets);
      // A pipe that was given back empty is kept for the next.
      const pipes = countDescriptors(relay.pid).pipes - before.pipes;
      expect(pipes).toBeLessThanOrEqual(2 * 64);
      const { stats } = await relay.state();
      expect(stats).toMatchObject({ total: 2_200, active: 0 });
    },
    90_000,
  );

  // The bun engine turns clients away before that.
  if (engine !== "bun") {
    test("connections are served where descriptors do not suffice for their copies", async () => {
      await using mirror = await WireServer.listen((wire) => void wire.onData(() => {}));
      await using target = await WireServer.echo();
      const plan = makePlan({ engine }, { target: target.target, mirror: mirror.target });
      await using relay = await RelayChild.start(plan, { descriptors: 160 });
      const clients: Wire[] = [];
      for (let i = 0; i < 40; i++) {
        const client = await relay.connect();
        clients.push(client);
        void client.write("served");
        expect(await within("the echo", client.readBytes(6))).toBe("served");
      }
      const { stats, warnings } = await relay.state();
      expect(stats.mirrorDropped).toBeGreaterThan(0);
      expect(stats.mirrored).toBeGreaterThan(0);
      expect(stats.refused).toMatchObject({ descriptors: 0, table_full: 0 });
      expect(warnings.some((warning) => warning.includes("mirror"))).toBe(true);
      for (const client of clients) client.reset();
    });
  }
});
