// Unix listeners while workers crash: the socket is bound once, so its file stays the same, waiting clients are served by
// whoever comes next, and nobody accepts any more when the proxy drains.

import { expect, test } from "bun:test";
import { existsSync, lstatSync, rmSync, writeFileSync } from "node:fs";

import { Proxy } from "../../src/control/proxy.ts";
import type { EngineName } from "../../src/shared/plan.ts";
import { inFolder } from "../support/daemon.ts";
import { ENGINES, forEveryEngine } from "../support/engines.ts";
import { LogLines } from "../support/log-lines.ts";
import { makePlan } from "../support/plan.ts";
import { descriptors } from "../support/proc.ts";
import { Threads } from "../support/threads.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

/** By name, since the runtime duplicates a socket that is its standard error when a worker's crash is printed. */
const sockets = (): string[] =>
  descriptors(process.pid).filter((name) => name.startsWith("socket:"));

const inode = (path: string): number => lstatSync(path).ino;

/** Resolves when these workers accept on the only listener. */
const openOn = (proxy: Proxy, ...workers: number[]): Promise<void> =>
  until(`the listener is open on ${workers}`, () => {
    return proxy.listeners()[0]!.workers.join() === workers.join();
  });

async function expectEcho(path: string): Promise<void> {
  const client = await Wire.connect({ path });
  await client.write("served");
  expect(await within("the echo", client.readBytes(6))).toBe("served");
  client.reset();
}

function wakeAll(proxy: Proxy, workers: number): void {
  for (let index = 0; index < workers; index++) proxy.disconnect(index, -1);
}

interface Setup {
  readonly proxy: Proxy;
  readonly path: string;
  readonly threads: Threads;
  readonly lines: LogLines;
  /** Before there was a proxy. */
  readonly socketsBefore: ReadonlySet<string>;
}

/** A test with a proxy that listens on a unix socket in front of an echo server, and is killed after it at the latest. */
function testOnUnix(
  name: string,
  options: { engine: EngineName; workers: number },
  run: (setup: Setup) => Promise<void>,
): void {
  const withProxy = async (folder: string): Promise<void> => {
    using threads = new Threads();
    await using server = await WireServer.echo();
    const path = `${folder}/l`;
    const plan = makePlan(options, { listen: `unix:${path}`, target: server.target });
    const socketsBefore = new Set(sockets());
    const lines = new LogLines();
    await using proxy = await Proxy.start(plan, lines);
    await run({ proxy, path, threads, lines, socketsBefore });
  };
  test.if(ENGINES.includes(options.engine))(name, () => inFolder(withProxy), 30_000);
}

testOnUnix(
  "epoll: all workers crash at once, and the socket is not bound again",
  { engine: "epoll", workers: 3 },
  async ({ proxy, path, threads, lines, socketsBefore }) => {
    const bound = inode(path);
    const waiting: Promise<void>[] = [];
    // A client that comes while no worker lives waits in the kernel's queue.
    threads.onOpen = () => {
      if (waiting.length === 0) waiting.push(expectEcho(path));
    };
    for (const thread of threads.all) threads.crash(thread);
    wakeAll(proxy, 3);
    await until("the crashes are counted", () => proxy.stats().workerRestarts === 3);
    await openOn(proxy, 0, 1, 2);
    expect(inode(path)).toBe(bound);
    expect(waiting).toHaveLength(1);
    await within("the client that waited", waiting[0]!);
    for (let i = 0; i < 10; i++) await expectEcho(path);
    await until("no row is left", () => proxy.connections().length === 0);
    expect(lines.lines.filter((line) => line.level === "error")).toHaveLength(3);
    await proxy.kill();
    expect(existsSync(path)).toBe(false);
    await until("no socket is left", () => sockets().every((name) => socketsBefore.has(name)));
  },
);

testOnUnix(
  "epoll: a worker that crashes while another is told its descriptors does not spoil them",
  { engine: "epoll", workers: 2 },
  async ({ proxy, path, threads, lines }) => {
    const bound = inode(path);
    const [first, second] = threads.all;
    const gone = new Promise((resolve) => first!.once("exit", resolve));
    const shared: (readonly number[])[] = [];
    threads.onOpen = (_, request) => {
      shared.push(request.sharedFds);
      if (shared.length > 1) return;
      threads.crash(first!);
      proxy.disconnect(0, -1);
    };
    threads.crash(second!);
    proxy.disconnect(1, -1);
    await within("the first worker's end", gone);
    await until("the crashes are counted", () => proxy.stats().workerRestarts === 2);
    await openOn(proxy, 0, 1);
    expect(shared).toEqual([shared[0]!, shared[0]!]);
    expect(shared[0]).toHaveLength(1);
    expect(inode(path)).toBe(bound);
    for (let i = 0; i < 10; i++) await expectEcho(path);
    expect(lines.lines.filter((line) => line.level === "error")).toHaveLength(2);
  },
);

forEveryEngine((engine) => {
  testOnUnix(
    "nobody is left to wait on a unix socket whose proxy drains",
    { engine, workers: 2 },
    async ({ proxy, path }) => {
      const client = await Wire.connect({ path });
      await client.write("x");
      await within("the connection is relayed", client.readBytes(1));
      const stopped = proxy.stop(10_000);
      await until("new clients are refused", () =>
        Wire.connect({ path }).then(
          (late) => {
            late.reset();
            return false;
          },
          (error: NodeJS.ErrnoException) => ["ECONNREFUSED", "ENOENT"].includes(error.code ?? ""),
        ),
      );
      client.end();
      await within("the end", client.readAll());
      expect(await within("the stop", stopped)).toEqual({ reset: 0 });
      expect(existsSync(path)).toBe(false);
    },
  );

  testOnUnix(
    "the one worker that accepts crashes: a unix listener goes on, and its file is removed at the end",
    { engine, workers: 2 },
    async ({ proxy, path, threads }) => {
      for (let crashes = 1; crashes <= 2; crashes++) {
        threads.crash(crashes === 1 ? threads.all[0]! : threads.all.at(-1)!);
        wakeAll(proxy, 2);
        await until("the crash is counted", () => proxy.stats().workerRestarts === crashes);
        await until("somebody accepts", () => proxy.listeners()[0]!.workers.length > 0);
        await expectEcho(path);
      }
      await proxy.kill();
      expect(existsSync(path)).toBe(false);
    },
  );
});

testOnUnix(
  "epoll: a file that another put in the place of a unix listener's stays",
  { engine: "epoll", workers: 1 },
  async ({ proxy, path, threads }) => {
    rmSync(path);
    writeFileSync(path, "somebody else's");
    threads.crash(threads.all[0]!);
    proxy.disconnect(0, -1);
    await until("the crash is counted", () => proxy.stats().workerRestarts === 1);
    await openOn(proxy, 0);
    await proxy.kill();
    expect(existsSync(path)).toBe(true);
  },
);
