// Limits of bandwidth, measured with real clocks on every engine: never more than the burst and the rate, never much less than
// the rate, and no byte lost or doubled for it.

import { describe, expect, test } from "bun:test";

import { bandwidthRate } from "../../src/l4/token-buckets.ts";
import type { EngineName } from "../../src/shared/plan.ts";
import { forEveryEngine } from "../support/engines.ts";
import { type ListenerOptions, makePlan, type PlanOptions } from "../support/plan.ts";
import { cpuMs } from "../support/proc.ts";
import { RelayChild } from "../support/relay-child.ts";
import { until, within } from "../support/until.ts";
import { type Wire, WireServer } from "../support/wire.ts";

const MIB = 1024 * 1024;
/** Longer than any burst lasts. */
const MEASURED_MS = 1_500;
/** Of the rate: what must arrive even on a machine that is busy with something else. */
const LEAST = 0.75;
/** More than can go in the time of a test. */
const ENDLESS = 1024 * MIB;

class Setup implements AsyncDisposable {
  readonly #server: WireServer;
  readonly relay: RelayChild;

  private constructor(server: WireServer, relay: RelayChild) {
    this.#server = server;
    this.relay = relay;
  }

  static async start(
    engine: EngineName,
    limits: Partial<ListenerOptions>,
    options: Omit<PlanOptions, "engine"> = {},
  ): Promise<Setup> {
    const server = await WireServer.listen();
    const listener = { target: server.target, ...limits };
    return new Setup(server, await RelayChild.start(makePlan({ engine, ...options }, listener)));
  }

  /** A client and its target. */
  async pair(): Promise<{ client: Wire; target: Wire }> {
    const client = await this.relay.connect();
    return { client, target: await within("the target", this.#server.accept()) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.relay[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
  }
}

interface Flow {
  readonly from: Wire;
  readonly to: Wire;
  readonly chunkBytes?: number;
}

/** Sends as fast as it goes. @returns what arrived of each flow, and in how many seconds. */
async function measure(flows: readonly Flow[]): Promise<{ bytes: number[]; seconds: number }> {
  const begin = performance.now();
  const sent = flows.map(({ from, to, chunkBytes }, i) => {
    to.onData(() => {});
    return from.sendStream(i, ENDLESS, chunkBytes);
  });
  await Bun.sleep(MEASURED_MS);
  const bytes = flows.map(({ to }) => to.received);
  const seconds = (performance.now() - begin) / 1_000;
  for (const { from, to } of flows) {
    from.reset();
    to.reset();
  }
  await Promise.all(sent);
  return { bytes, seconds };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);

function expectRate(bytes: number, seconds: number, perSecond: number): void {
  const { burst } = bandwidthRate(perSecond);
  expect(bytes).toBeLessThanOrEqual(burst + perSecond * seconds);
  expect(bytes).toBeGreaterThan(LEAST * perSecond * seconds);
}

forEveryEngine((engine) => {
  describe("a listener's limit", () => {
    for (const rate of [256 * 1024, 8 * MIB, 64 * MIB]) {
      test(`holds for one stream to the target, at ${rate / MIB} MiB/s`, async () => {
        await using setup = await Setup.start(engine, { bytesPerSecond: rate });
        const { client, target } = await setup.pair();
        const { bytes, seconds } = await measure([{ from: client, to: target }]);
        expectRate(bytes[0]!, seconds, rate);
      });
    }

    test("holds for one stream to the client", async () => {
      await using setup = await Setup.start(engine, { bytesPerSecond: 8 * MIB });
      const { client, target } = await setup.pair();
      const { bytes, seconds } = await measure([{ from: target, to: client }]);
      expectRate(bytes[0]!, seconds, 8 * MIB);
    });

    test("holds for both directions together, and neither starves", async () => {
      await using setup = await Setup.start(engine, { bytesPerSecond: 8 * MIB });
      const { client, target } = await setup.pair();
      const flows = [
        { from: client, to: target },
        { from: target, to: client },
      ];
      const { bytes, seconds } = await measure(flows);
      expectRate(sum(bytes), seconds, 8 * MIB);
      expect(Math.min(...bytes)).toBeGreaterThan(sum(bytes) / 30);
    });

    test("holds for small messages", async () => {
      await using setup = await Setup.start(engine, { bytesPerSecond: MIB });
      const { client, target } = await setup.pair();
      const { bytes, seconds } = await measure([{ from: client, to: target, chunkBytes: 100 }]);
      expectRate(bytes[0]!, seconds, MIB);
    });

    test("holds for eight connections over two workers, and none starves", async () => {
      const limits = { bytesPerSecond: 16 * MIB };
      await using setup = await Setup.start(engine, limits, { workers: 2 });
      const flows: Flow[] = [];
      for (let i = 0; i < 8; i++) {
        const { client, target } = await setup.pair();
        flows.push(i % 2 === 0 ? { from: client, to: target } : { from: target, to: client });
      }
      const { bytes, seconds } = await measure(flows);
      expectRate(sum(bytes), seconds, 16 * MIB);
      expect(Math.min(...bytes)).toBeGreaterThan(sum(bytes) / 8 / 20);
    });

    test("a message is answered while a stream uses all of it", async () => {
      await using setup = await Setup.start(engine, { bytesPerSecond: 4 * MIB });
      const bulk = await setup.pair();
      const small = await setup.pair();
      bulk.target.onData(() => {});
      void bulk.client.sendStream(1, ENDLESS);
      await until("the stream is held back", () => bulk.target.received > MIB);
      for (let i = 0; i < 4; i++) {
        void small.client.write("ask");
        await within("a question", small.target.readBytes(3), 1_000);
        void small.target.write("say");
        await within("an answer", small.client.readBytes(3), 1_000);
      }
    });

    test("a connection that ends while it waits leaves its part to others", async () => {
      await using setup = await Setup.start(engine, { bytesPerSecond: 4 * MIB });
      const first = await setup.pair();
      first.target.onData(() => {});
      void first.client.sendStream(1, ENDLESS);
      await until("it is held back", () => first.target.received > MIB);
      first.target.reset();
      await within("it is over", first.client.ending);
      const next = await setup.pair();
      const { bytes, seconds } = await measure([{ from: next.client, to: next.target }]);
      expect(bytes[0]!).toBeGreaterThan(LEAST * 4 * MIB * seconds);
      await until("no row is left", async () => (await setup.relay.state()).rows === 0);
    });
  });

  describe("a connection's limit", () => {
    test("holds for each of four, both directions together", async () => {
      await using setup = await Setup.start(engine, { connectionBytesPerSecond: 2 * MIB });
      const pairs = [];
      for (let i = 0; i < 4; i++) pairs.push(await setup.pair());
      const flows = pairs.flatMap(({ client, target }) => [
        { from: client, to: target },
        { from: target, to: client },
      ]);
      const { bytes, seconds } = await measure(flows);
      for (let i = 0; i < 8; i += 2) {
        const both = bytes.slice(i, i + 2);
        expectRate(sum(both), seconds, 2 * MIB);
        expect(Math.min(...both)).toBeGreaterThan(sum(both) / 30);
      }
    });

    test("holds beside the listener's", async () => {
      const limits = { bytesPerSecond: 6 * MIB, connectionBytesPerSecond: 2 * MIB };
      await using setup = await Setup.start(engine, limits);
      const flows: Flow[] = [];
      for (let i = 0; i < 2; i++) {
        const { client, target } = await setup.pair();
        flows.push({ from: client, to: target });
      }
      const two = await measure(flows);
      for (const each of two.bytes) expectRate(each, two.seconds, 2 * MIB);
      const more: Flow[] = [];
      for (let i = 0; i < 6; i++) {
        const { client, target } = await setup.pair();
        more.push({ from: target, to: client });
      }
      const six = await measure(more);
      expectRate(sum(six.bytes), six.seconds, 6 * MIB);
    });
  });

  describe("under a limit", () => {
    test("every byte arrives in order, and half-closed connections go on", async () => {
      const limits = { bytesPerSecond: 16 * MIB, connectionBytesPerSecond: 12 * MIB };
      await using setup = await Setup.start(engine, limits);
      const { client, target } = await setup.pair();
      const length = 4 * MIB + 12_345;
      const up = target.expectStream(1, length);
      await client.sendStream(1, length);
      client.end();
      await within("the client's bytes", up);
      const down = client.expectStream(2, length);
      await target.sendStream(2, length, 1_000);
      target.end();
      await within("the target's bytes", down);
      await until("no row is left", async () => (await setup.relay.state()).rows === 0);
      const { stats } = await setup.relay.state();
      expect(stats).toMatchObject({ bytesUp: length, bytesDown: length, active: 0 });
    });

    test("a reader that stalls costs no CPU time and no byte, and takes nothing from others", async () => {
      await using setup = await Setup.start(engine, { bytesPerSecond: 16 * MIB });
      const stalled = await setup.pair();
      const length = 24 * MIB;
      stalled.target.socket.pause();
      const sent = stalled.client.sendStream(1, length).then(() => stalled.client.end());
      await Bun.sleep(2_000);
      const before = cpuMs(setup.relay.pid);
      await Bun.sleep(1_000);
      expect(cpuMs(setup.relay.pid) - before).toBeLessThan(150);
      const other = await setup.pair();
      const { bytes, seconds } = await measure([{ from: other.client, to: other.target }]);
      expectRate(bytes[0]!, seconds, 16 * MIB);
      const arrived = stalled.target.expectStream(1, length);
      stalled.target.socket.resume();
      await within("all bytes", Promise.all([arrived, sent]), 20_000);
    }, 40_000);

    test("waiting for bytes costs little CPU time", async () => {
      await using setup = await Setup.start(engine, { bytesPerSecond: MIB });
      const { client, target } = await setup.pair();
      const before = cpuMs(setup.relay.pid);
      await measure([{ from: client, to: target }]);
      expect(cpuMs(setup.relay.pid) - before).toBeLessThan(MEASURED_MS / 3);
    });

    test("a connection that waits is not idle", async () => {
      const limits = { connectionBytesPerSecond: 1_000, idleMs: 300 };
      await using setup = await Setup.start(engine, limits);
      const { client, target } = await setup.pair();
      const arrived = target.expectStream(1, 4_000);
      await client.sendStream(1, 4_000);
      client.end();
      await within("the slow bytes", arrived);
    });
  });
});
