// The target's name gets other addresses while a client is being connected, for every engine: the client goes on with the
// addresses it began with, in their order, and is counted and named after the one that it reached. Linux only, as a target
// that does not answer is.

import { expect, test } from "bun:test";

import type { Command, TargetSlot } from "../../src/shared/messages.ts";
import type { EngineName } from "../../src/shared/plan.ts";
import { forEveryEngine } from "../support/engines.ts";
import { Relay } from "../support/relay.ts";
import { SilentTarget } from "../support/silent-target.ts";
import { Threads } from "../support/threads.ts";
import { until, within } from "../support/until.ts";
import { type Wire, WireServer } from "../support/wire.ts";

const onLinux = process.platform === "linux" ? forEveryEngine : (): void => {};
const NAME = "db.test";
/** The name had two addresses at most. */
const FIRST_FREE_SLOT = 2;

/** A relay of one worker to a name that has these addresses, and the way to give it others. */
class Renamed implements AsyncDisposable {
  readonly relay: Relay;
  readonly #threads: Threads;
  readonly #port: number;

  private constructor(relay: Relay, threads: Threads, port: number) {
    this.relay = relay;
    this.#threads = threads;
    this.#port = port;
  }

  static async start(
    engine: EngineName,
    hosts: readonly string[],
    port: number,
    connectMs: number,
  ): Promise<Renamed> {
    const threads = new Threads();
    const relay = await Relay.start(
      engine,
      { target: `${NAME}:${port}`, connectMs },
      { lookup: async () => hosts },
    );
    return new Renamed(relay, threads, port);
  }

  /** Settles when the worker has them. */
  async setHosts(hosts: readonly string[]): Promise<void> {
    const { proxy } = this.relay;
    const targets = hosts.map((host, i): TargetSlot => {
      const address = { kind: "ip" as const, host, port: this.#port };
      const slot = i + FIRST_FREE_SLOT;
      const share = { weight: 1, backup: false, up: true, mode: "enabled", addedMs: 0 } as const;
      return { slot, group: 0, index: 0, address, name: host, ...share };
    });
    const command: Command = { type: "targets", slot: 0, targets };
    this.#threads.all[0]!.postMessage(command);
    // The mailbox is read in order: what refuses this pair has read the addresses before.
    const sizes = { copyBytes: 1024, highWatermarkBytes: 4096, lowWatermarkBytes: 2048 };
    const { taken } = proxy.adopt([-1, -1], { idleMs: 0, ...sizes });
    await expect(taken).rejects.toMatchObject({ code: "ERR_ENGINE" });
  }

  /** A client whose first address does not answer. */
  async waitingClient(): Promise<Wire> {
    const client = await this.relay.connect();
    await until("the row is there", () => this.relay.proxy.connections().length === 1);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#threads[Symbol.dispose]();
    await this.relay[Symbol.asyncDispose]();
  }
}

async function expectEcho(client: Wire): Promise<void> {
  await client.write("served");
  expect(await within("the echo", client.readBytes(6))).toBe("served");
}

onLinux((engine) => {
  test("a client whose target gets other addresses meanwhile goes on to the next of those it began with", async () => {
    using silent = await SilentTarget.start();
    const { port } = silent;
    await using old = await WireServer.echo({ host: "127.0.0.2", port });
    await using first = await WireServer.echo({ host: "127.0.0.3", port });
    await using second = await WireServer.echo({ host: "127.0.0.4", port });
    await using renamed = await Renamed.start(engine, ["127.0.0.1", "127.0.0.2"], port, 1_000);
    const { relay } = renamed;
    const early = await renamed.waitingClient();
    await renamed.setHosts(["127.0.0.3", "127.0.0.4"]);
    const late = await relay.connect();
    await expectEcho(late);
    expect([old.accepted, first.accepted, second.accepted]).toEqual([0, 1, 0]);
    await expectEcho(early);
    expect([old.accepted, first.accepted, second.accepted]).toEqual([1, 1, 0]);
    const targets = relay.proxy.connections().map(({ target }) => target);
    expect(targets.toSorted()).toEqual([`127.0.0.2:${port}`, `127.0.0.3:${port}`]);
    expect(relay.stats.targets).toMatchObject([
      { name: `127.0.0.1:${port} (${NAME}:${port})`, connects: 0, failures: 1, active: 0 },
      { name: `127.0.0.2:${port} (${NAME}:${port})`, connects: 1, failures: 0, active: 1 },
    ]);
  });

  test("a client whose target has fewer addresses meanwhile is not lost between the lists", async () => {
    using silent = await SilentTarget.start();
    const { port } = silent;
    await using old = await WireServer.echo({ host: "127.0.0.2", port });
    await using only = await WireServer.echo({ host: "127.0.0.3", port });
    await using renamed = await Renamed.start(engine, ["127.0.0.1", "127.0.0.2"], port, 1_000);
    const { relay } = renamed;
    const early = await renamed.waitingClient();
    await renamed.setHosts(["127.0.0.3"]);
    await expectEcho(early);
    expect([old.accepted, only.accepted]).toEqual([1, 0]);
    expect(relay.proxy.connections()[0]!.target).toBe(`127.0.0.2:${port}`);
    await expectEcho(await relay.connect());
    expect(only.accepted).toBe(1);
    expect(relay.proxy.stats().workerRestarts).toBe(0);
  });

  test("a client whose target answers after its address was given up is connected there, and named after it", async () => {
    using silent = await SilentTarget.start();
    const { port } = silent;
    await using other = await WireServer.echo({ host: "127.0.0.3", port });
    await using renamed = await Renamed.start(engine, ["127.0.0.1"], port, 60_000);
    const { relay } = renamed;
    await renamed.waitingClient();
    await renamed.setHosts(["127.0.0.3"]);
    silent.answer();
    await until("the target is reached", () => relay.stats.targets[0]!.connects === 1);
    expect(relay.proxy.connections()[0]!.target).toBe(`127.0.0.1:${port}`);
    expect(other.accepted).toBe(0);
  });
});
