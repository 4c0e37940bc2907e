// The pool: what is reused and what is not, and its figures.

import { describe, expect, test } from "bun:test";

import {
  type ConnPool,
  type ConnPoolConfig,
  defaultConnPoolConfig,
  PoolDialer,
} from "../../src/library/conn-pool.ts";
import { until } from "../support/until.ts";
import { type Wire, WireServer } from "../support/wire.ts";
import { failure, makeConn } from "./support/pairs.ts";

interface Setup extends AsyncDisposable {
  readonly pool: ConnPool;
  readonly server: WireServer;
}

async function setUp(config: ConnPoolConfig = {}): Promise<Setup> {
  const server = await WireServer.listen();
  const pool = new PoolDialer(server.target, config).newPool();
  return {
    pool,
    server,
    async [Symbol.asyncDispose]() {
      await pool.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

describe("reuse", () => {
  test("a connection put back is the next one got, and still works", async () => {
    await using s = await setUp();
    const first = await s.pool.get();
    const wire = await s.server.accept();
    await first.write("one");
    expect(await wire.readBytes(3)).toBe("one");
    expect(s.pool.put(first)).toBe(true);
    expect(s.pool.stats()).toEqual({ created: 1, reused: 0, idle: 1, active: 0, discarded: 0 });
    const second = await s.pool.get();
    expect(second).toBe(first);
    await wire.write("answer");
    expect(String(await second.read())).toBe("answer");
    expect(s.pool.stats()).toEqual({ created: 1, reused: 1, idle: 0, active: 1, discarded: 0 });
    expect(s.server.accepted).toBe(1);
    second.reset();
    await until("it is not counted any more", () => s.pool.stats().active === 0);
  });

  test("two callers at once get two connections", async () => {
    await using s = await setUp();
    const one = await s.pool.get();
    s.pool.put(one);
    const [a, b] = await Promise.all([s.pool.get(), s.pool.get()]);
    expect(a).not.toBe(b);
    expect(s.pool.stats()).toMatchObject({ created: 2, reused: 1, active: 2 });
    a.reset();
    b.reset();
  });

  test("a thousand uses of one connection leave one", async () => {
    await using s = await setUp();
    for (let i = 0; i < 1_000; i++) s.pool.put(await s.pool.get());
    expect(s.pool.stats()).toEqual({ created: 1, reused: 999, idle: 1, active: 0, discarded: 0 });
  });
});

describe("what is not reused", () => {
  const endings: readonly [string, (wire: Wire) => unknown][] = [
    ["was reset by its target", (wire) => wire.reset()],
    ["was half-closed by its target", (wire) => wire.end()],
    ["was closed by its target", (wire) => wire.destroy()],
    ["has unread bytes", (wire) => wire.write("late")],
  ];
  for (const [name, act] of endings) {
    test(`a connection that ${name} while it was idle`, async () => {
      await using s = await setUp();
      const conn = await s.pool.get();
      const wire = await s.server.accept();
      s.pool.put(conn);
      act(wire);
      await until("it has left the pool", () => s.pool.stats().idle === 0);
      expect(s.pool.stats()).toMatchObject({ created: 1, reused: 0, discarded: 1 });
      const next = await s.pool.get();
      expect(next).not.toBe(conn);
      next.reset();
    });

    test(`a connection that ${name} just before it was put back`, async () => {
      await using s = await setUp();
      const conn = await s.pool.get();
      const wire = await s.server.accept();
      await wire.write("x");
      expect(String(await conn.read())).toBe("x");
      conn.pause();
      conn.resume();
      act(wire);
      await wire.write("").catch(() => {});
      s.pool.put(conn);
      const next = await s.pool.get();
      expect(next).not.toBe(conn);
      expect(s.pool.stats()).toMatchObject({ created: 2, reused: 0 });
      next.reset();
    });
  }

  test("one with its write side ended, with a read or a write under way, paused, or over", async () => {
    await using s = await setUp();
    const ended = await s.pool.get();
    await ended.closeWrite();
    expect(s.pool.put(ended)).toBe(false);
    const reading = await s.pool.get();
    const read = failure(reading.read());
    expect(s.pool.put(reading)).toBe(false);
    expect((await read).code as string).toBe("ERR_CLOSED");
    const writing = await s.pool.get();
    for (let i = 0; i < 3; i++) (await s.server.accept()).socket.pause();
    void writing.write(Buffer.alloc(16 * 1024 * 1024)).catch(() => {});
    expect(s.pool.put(writing)).toBe(false);
    writing.reset();
    const paused = await s.pool.get();
    paused.pause();
    expect(s.pool.put(paused)).toBe(false);
    const over = await s.pool.get();
    over.reset();
    await over.closed;
    expect(s.pool.put(over)).toBe(false);
    expect(s.pool.stats()).toMatchObject({ created: 5, reused: 0, idle: 0, discarded: 4 });
  });

  test("one that is older than maxAge", async () => {
    await using s = await setUp({ maxAge: 50 });
    const conn = await s.pool.get();
    expect(s.pool.put(conn)).toBe(true);
    const began = performance.now();
    await until("it is too old", () => performance.now() - began > 60);
    const next = await s.pool.get();
    expect(next).not.toBe(conn);
    expect(s.pool.stats()).toMatchObject({ created: 2, reused: 0, discarded: 1 });
    await until("it is too old, too", () => performance.now() - began > 130);
    expect(s.pool.put(next)).toBe(false);
  });

  test("one more than maxIdle is closed", async () => {
    await using s = await setUp({ maxIdle: 2 });
    const conns = await Promise.all([s.pool.get(), s.pool.get(), s.pool.get()]);
    expect(conns.map((conn) => s.pool.put(conn))).toEqual([true, true, false]);
    await conns[2].closed;
    expect(s.pool.stats()).toEqual({ created: 3, reused: 0, idle: 2, active: 0, discarded: 1 });
  });
});

describe("wrong calls", () => {
  test("a strange connection, and one put back twice, are ERR_STATE", async () => {
    await using s = await setUp();
    await using other = await makeConn();
    const conn = await s.pool.get();
    expect(() => s.pool.put(other.conn)).toThrow("not out of this pool");
    s.pool.put(conn);
    expect(() => s.pool.put(conn)).toThrow("not out of this pool");
  });

  test("settings out of bounds are refused by name", () => {
    for (const config of [
      { maxIdle: -1 },
      { maxAge: 0.5 },
      { dialTimeout: -1 },
      { keepAlive: 1e12 },
    ]) {
      const name = Object.keys(config)[0]!;
      expect(() => new PoolDialer("127.0.0.1:1", config)).toThrow(new RegExp(`^${name} is `));
    }
  });
});

describe("closing", () => {
  test("idle connections are closed, those in use when they come back, and no more are given", async () => {
    await using s = await setUp();
    const [idle, used] = [await s.pool.get(), await s.pool.get()];
    const wires = [await s.server.accept(), await s.server.accept()];
    s.pool.put(idle);
    await s.pool.close();
    expect(await wires[0]!.ending).toBe("fin");
    await used.write("still works");
    expect(await wires[1]!.readBytes(11)).toBe("still works");
    expect(s.pool.put(used)).toBe(false);
    expect(await wires[1]!.ending).toBe("fin");
    expect((await failure(s.pool.get())).code as string).toBe("ERR_CLOSED");
  });

  test("an aborted signal ends a get", async () => {
    await using s = await setUp();
    const reason = new Error("no more");
    expect(await failure(s.pool.get({ signal: AbortSignal.abort(reason) }))).toBe(reason);
  });
});

test("the defaults are 10 idle, any age, 10 s to dial, keepalive of 30 s", () => {
  expect(defaultConnPoolConfig()).toEqual({
    maxIdle: 10,
    maxAge: 0,
    dialTimeout: 10_000,
    keepAlive: 30_000,
  });
});
