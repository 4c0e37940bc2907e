// What the control plane does when workers crash at the worst moment: while a listener is being opened, while the proxy
// stops, when the address is not to be had, or again and again.

import { expect, spyOn, test } from "bun:test";
import { Worker } from "node:worker_threads";

import { Proxy } from "../../src/control/proxy.ts";
import type { WorkerEvent } from "../../src/shared/messages.ts";
import { forEveryEngine } from "../support/engines.ts";
import { LogLines } from "../support/log-lines.ts";
import { makePlan } from "../support/plan.ts";
import { wireAddress } from "../support/relay.ts";
import { Threads } from "../support/threads.ts";
import { until, within } from "../support/until.ts";
import { Wire, type WireAddress, WireServer } from "../support/wire.ts";

const CRASHED = "worker crashed, starting another";
const RETRIES = "listener cannot be opened again, trying on";

const addressOf = (proxy: Proxy, listener = 0): WireAddress =>
  wireAddress(proxy.listeners()[listener]!.bound[0]!);

/** Resolves when every listener is open on these workers. */
const openOn = (proxy: Proxy, ...workers: number[]): Promise<void> =>
  until(`listeners are open on workers ${workers}`, () =>
    proxy.listeners().every((listener) => listener.workers.join() === workers.join()),
  );

async function expectEcho(address: WireAddress): Promise<void> {
  const client = await Wire.connect(address);
  await client.write("served");
  expect(await within("the echo", client.readBytes(6))).toBe("served");
  client.reset();
}

async function expectRefused(address: WireAddress): Promise<void> {
  const connected = Wire.connect(address).then((wire) => wire.reset());
  await expect(connected).rejects.toMatchObject({ code: "ECONNREFUSED" });
}

/** Crashes whoever is in this place. @param thread its thread. */
function crash(threads: Threads, proxy: Proxy, index: number, thread: Worker): void {
  threads.crash(thread);
  proxy.disconnect(index, -1); // wakes a worker that blocks in a system call
}

forEveryEngine((engine) => {
  test("a replacement that crashes while a listener is opened is replaced once, and no worker outlives the end", async () => {
    using threads = new Threads();
    await using server = await WireServer.echo();
    const proxy = await Proxy.start(makePlan({ engine, workers: 2 }, { target: server.target }));
    const address = addressOf(proxy);
    try {
      threads.onOpen = (thread) => {
        threads.onOpen = null;
        threads.crash(thread);
      };
      crash(threads, proxy, 0, threads.all[0]!);
      await until("both crashes are counted", () => proxy.stats().workerRestarts === 2);
      await openOn(proxy, 0, 1);
      await expectEcho(address);
      expect(threads.all).toHaveLength(4);
      expect(threads.alive).toBe(2);
    } finally {
      await within("the end", proxy.kill());
    }
    expect(proxy.stats().workerRestarts).toBe(2);
    expect(threads.alive).toBe(0);
    await expectRefused(address);
  }, 30_000);

  test("a listener whose address is taken meanwhile says so, and comes back when the address is free", async () => {
    using threads = new Threads();
    await using server = await WireServer.echo();
    const lines = new LogLines();
    await using proxy = await Proxy.start(
      makePlan({ engine }, { target: server.target }, { key: "other", target: server.target }),
      lines,
    );
    const { port } = addressOf(proxy) as { port: number };
    let thief: { stop(force: boolean): void } | undefined;
    threads.onOpen = () => {
      threads.onOpen = null;
      thief = Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } });
    };
    crash(threads, proxy, 0, threads.all[0]!);
    await until("it was tried twice", () => lines.of(RETRIES).length === 2);
    expect(lines.of(RETRIES)[1]).toMatchObject({
      level: "error",
      fields: {
        listener: "tcp 127.0.0.1:0",
        worker: 0,
        error: expect.stringContaining("EADDRINUSE"),
        retryMs: 200,
      },
    });
    expect(proxy.listeners().map((listener) => listener.workers)).toEqual([[], [0]]);
    await expectEcho(addressOf(proxy, 1));
    thief!.stop(true);
    await openOn(proxy, 0);
    await expectEcho(addressOf(proxy));
    expect(lines.of("listener is open again")).toHaveLength(1);
    expect(proxy.stats().workerRestarts).toBe(1);
  }, 30_000);

  test("an end while a listener waits for its address does not wait for it", async () => {
    using threads = new Threads();
    const lines = new LogLines();
    const proxy = await Proxy.start(makePlan({ engine }, { target: "127.0.0.1:1" }), lines);
    const { port } = addressOf(proxy) as { port: number };
    let thief: { stop(force: boolean): void } | undefined;
    threads.onOpen = () =>
      (thief ??= Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }));
    crash(threads, proxy, 0, threads.all[0]!);
    await until("it was tried", () => lines.of(RETRIES).length > 0);
    expect(await within("the stop", proxy.stop(5_000), 2_000)).toEqual({ reset: 0 });
    expect(threads.alive).toBe(0);
    thief!.stop(true);
  }, 30_000);

  test("connections of a worker that is coming back are drained by a stop, not reset", async () => {
    using threads = new Threads();
    await using server = await WireServer.listen();
    const { target: to } = server;
    const proxy = await Proxy.start(
      makePlan({ engine }, { key: "first", target: to }, { key: "second", target: to }),
    );
    const { held, release } = hold((event) => event.type === "opened" && event.slot === 1);
    crash(threads, proxy, 0, threads.all[0]!);
    const { deliver } = await within("the answer for the second listener", held);
    release();
    const early = await Wire.connect(addressOf(proxy));
    const target = await within("its target", server.accept());
    const stopped = proxy.stop(10_000);
    deliver();
    await early.write("the last words");
    early.end();
    expect(await within("all arrives", target.readAll())).toBe("the last words");
    await target.write("the answer");
    target.end();
    expect(await within("the answer", early.readAll())).toBe("the answer");
    expect(await within("the stop", stopped)).toEqual({ reset: 0 });
    expect(threads.alive).toBe(0);
  }, 30_000);

  test("the delay before a restart counts the crashes of that worker alone", async () => {
    using threads = new Threads();
    const lines = new LogLines();
    await using proxy = await Proxy.start(
      makePlan({ engine, workers: 2 }, { target: "127.0.0.1:1" }),
      lines,
    );
    const other = threads.all[1]!;
    for (let crashes = 1; crashes <= 3; crashes++) {
      crash(threads, proxy, 0, crashes === 1 ? threads.all[0]! : threads.all.at(-1)!);
      await until("the crash is counted", () => proxy.stats().workerRestarts === crashes);
      await openOn(proxy, 0, 1);
    }
    crash(threads, proxy, 1, other);
    await until("the crash is counted", () => proxy.stats().workerRestarts === 4);
    await openOn(proxy, 0, 1);
    const delays = lines.of(CRASHED).map(({ fields }) => [fields["worker"], fields["delayMs"]]);
    expect(delays).toEqual([
      [0, 0],
      [0, 100],
      [0, 200],
      [1, 0],
    ]);
  }, 30_000);

  test("an end does not wait for a replacement that never comes up, and ends one that comes up too late", async () => {
    using threads = new Threads();
    const proxy = await Proxy.start(makePlan({ engine }, { target: "127.0.0.1:1" }));
    const { held, release } = hold((event) => event.type === "ready");
    try {
      crash(threads, proxy, 0, threads.all[0]!);
      const { thread, deliver } = await within("a replacement that is ready", held);
      const exited = new Promise((resolve) => thread.once("exit", resolve));
      await within("the end", proxy.kill(), 3_000);
      deliver();
      await within("the late one's end", exited);
    } finally {
      release();
    }
  }, 30_000);
});

/** Keeps events of workers that start from now on from the control plane, as if those workers had not sent them. */
function hold(which: (event: WorkerEvent) => boolean): {
  held: Promise<{ thread: Worker; deliver: () => void }>;
  release: () => void;
} {
  const held = Promise.withResolvers<{ thread: Worker; deliver: () => void }>();
  const on = Worker.prototype.on;
  const spy = spyOn(Worker.prototype, "on").mockImplementation(function (
    this: Worker,
    name: string,
    listener: (event: never) => void,
  ) {
    if (name !== "message") return on.call(this, name, listener as never);
    return on.call(this, name, ((event: WorkerEvent) => {
      if (!which(event)) listener(event as never);
      else held.resolve({ thread: this, deliver: () => listener(event as never) });
    }) as never);
  } as typeof on);
  return { held: held.promise, release: () => spy.mockRestore() };
}
