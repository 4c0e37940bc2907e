// The manager: limits, timeouts, figures and shutdown.

import { describe, expect, test } from "bun:test";

import { ConnManager } from "../../src/library/conn-manager.ts";
import { forward } from "../../src/library/forward.ts";
import { until, within } from "../support/until.ts";
import { failure, makeConn, makeEnds } from "./support/pairs.ts";

function code(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return "none";
}

describe("limits", () => {
  test("beyond maxConnections accept throws, until one is over", async () => {
    await using one = await makeConn();
    await using two = await makeConn();
    const manager = new ConnManager({ maxConnections: 1 });
    const info = manager.accept(one.conn);
    expect(code(() => manager.accept(two.conn))).toBe("ERR_CONNECTION_LIMIT");
    expect(manager.stats()).toMatchObject({ active: 1, total: 1, rejected: 1 });
    one.peer.reset();
    await within("the first is over", one.conn.closed);
    expect(info.isClosed).toBe(true);
    expect(manager.accept(two.conn).id).not.toBe(info.id);
    expect(manager.stats()).toMatchObject({ active: 1, total: 2, rejected: 1 });
  });

  test("settings out of bounds are refused by name", () => {
    for (const name of ["maxConnections", "connectionTimeout", "acceptTimeout"]) {
      expect(() => new ConnManager({ [name]: -1 })).toThrow(new RegExp(`^${name} is -1`));
    }
  });

  test("wrapConn takes only what this manager accepted and what is not over", async () => {
    await using one = await makeConn();
    const [mine, other] = [new ConnManager(), new ConnManager()];
    const info = mine.accept(one.conn);
    expect(code(() => other.wrapConn(one.conn, info))).toBe("ERR_STATE");
    one.conn.reset();
    await one.conn.closed;
    expect(code(() => mine.wrapConn(one.conn, info))).toBe("ERR_STATE");
  });
});

describe("what it knows", () => {
  test("bytes, times and addresses of a connection, also after its end", async () => {
    await using one = await makeConn();
    const manager = new ConnManager();
    const info = manager.accept(one.conn);
    const conn = manager.wrapConn(one.conn, info);
    const before = info.lastActive.getTime();
    await one.peer.write("12345");
    expect(String(await conn.read())).toBe("12345");
    await conn.write("123");
    expect([info.bytesIn, info.bytesOut]).toEqual([5, 3]);
    expect(info.remoteAddr).toBe(String(one.conn.remoteAddr));
    expect(info.lastActive.getTime()).toBeGreaterThanOrEqual(before);
    expect(Math.abs(info.startTime.getTime() - Date.now())).toBeLessThan(5_000);
    expect(manager.connections()).toEqual([info]);
    expect(manager.stats()).toEqual({
      active: 1,
      total: 1,
      rejected: 0,
      timedOut: 0,
      bytesIn: 5,
      bytesOut: 3,
    });
    await conn.close();
    expect(info.isClosed).toBe(true);
    const { duration } = info;
    expect(duration).toBeGreaterThan(0);
    expect(manager.stats()).toMatchObject({ active: 0, bytesIn: 5, bytesOut: 3 });
    expect(info.duration).toBe(duration);
  });

  test("bytes that the kernel relays are in its figures at once, and stay there", async () => {
    await using ends = await makeEnds();
    const manager = new ConnManager();
    const info = manager.accept(ends.a);
    const relayed = failure(forward(manager.wrapConn(ends.a, info), ends.b));
    await ends.client.write("question");
    await ends.server.readBytes(8);
    await until("it is counted", () => manager.stats().bytesIn === 8);
    expect([info.bytesIn, info.bytesOut]).toEqual([8, 0]);
    ends.client.reset();
    await relayed;
    expect(manager.stats()).toMatchObject({ active: 0, bytesIn: 8, bytesOut: 0 });
  });

  test("the wrapper does all that a connection does", async () => {
    await using ends = await makeEnds();
    const manager = new ConnManager();
    const conn = manager.wrapConn(ends.a, manager.accept(ends.a));
    expect([conn.fd, conn.localAddr, conn.remoteAddr]).toEqual([
      ends.a.fd,
      ends.a.localAddr,
      ends.a.remoteAddr,
    ]);
    await ends.client.write("ab");
    conn.unread((await conn.read())!);
    conn.pause();
    conn.resume();
    ends.client.end();
    const parts: string[] = [];
    for await (const chunk of conn) parts.push(String(chunk));
    expect(parts.join("")).toBe("ab");
    await conn.closeWrite();
    expect(await ends.client.ending).toBe("fin");
    await within("closed", conn.closed);
  });
});

describe("timeouts", () => {
  test("a wrapped connection without a byte for connectionTimeout is reset; one with bytes is not", async () => {
    await using quiet = await makeConn();
    await using busy = await makeConn();
    const manager = new ConnManager({ connectionTimeout: 160 });
    const conns = [quiet, busy].map(({ conn }) => manager.wrapConn(conn, manager.accept(conn)));
    const began = performance.now();
    let ended = false;
    const reset = quiet.peer.ending.then((ending) => {
      ended = true;
      return ending;
    });
    while (!ended) {
      busy.peer.socket.write("x");
      expect(String(await conns[1]!.read())).toStartWith("x");
    }
    expect(await reset).toBe("ECONNRESET");
    expect(performance.now() - began).toBeGreaterThan(150);
    expect(manager.stats()).toMatchObject({ active: 1, timedOut: 1 });
    await conns[1]!.write("fine");
  });

  test("one that is not put to use within acceptTimeout is reset", async () => {
    await using one = await makeConn();
    const manager = new ConnManager({ acceptTimeout: 60 });
    manager.accept(one.conn);
    expect(await within("the reset", one.peer.ending)).toBe("ECONNRESET");
    expect(manager.stats()).toMatchObject({ active: 0, timedOut: 1 });
  });

  test("the timeout holds while the kernel relays, and is not mistaken there", async () => {
    await using ends = await makeEnds();
    const manager = new ConnManager({ connectionTimeout: 200 });
    const conn = manager.wrapConn(ends.a, manager.accept(ends.a));
    const relayed = failure(forward(conn, ends.b));
    const began = performance.now();
    let sent = 0;
    while (performance.now() - began < 450) {
      const { received } = ends.server;
      ends.client.socket.write("x");
      await until("it is there", () => ends.server.received > received);
      sent++;
    }
    const quietSince = performance.now();
    expect(await within("the reset", ends.client.ending)).toBe("ECONNRESET");
    expect(performance.now() - quietSince).toBeGreaterThan(150);
    expect((await relayed).code as string).toBe("ERR_RESET");
    expect(sent).toBeGreaterThan(3);
  });
});

describe("shutdown", () => {
  test("waits for connections, and accepts no more", async () => {
    await using one = await makeConn();
    await using late = await makeConn();
    const manager = new ConnManager();
    const conn = manager.wrapConn(one.conn, manager.accept(one.conn));
    const [done, again] = [manager.shutdown(), manager.shutdown()];
    expect(code(() => manager.accept(late.conn))).toBe("ERR_CLOSED");
    await one.peer.write("last words");
    expect(String(await conn.read())).toBe("last words");
    await conn.close();
    expect(await within("the shutdown", done)).toEqual({ reset: 0 });
    expect(await within("the second", again)).toEqual({ reset: 0 });
  });

  test("resets what is left when its signal is aborted", async () => {
    await using one = await makeConn();
    const manager = new ConnManager();
    manager.accept(one.conn);
    const controller = new AbortController();
    const done = manager.shutdown({ signal: controller.signal });
    controller.abort();
    expect(await within("the shutdown", done)).toEqual({ reset: 1 });
    expect(await one.peer.ending).toBe("ECONNRESET");
  });

  test("without connections it is over at once", async () => {
    expect(await new ConnManager().shutdown()).toEqual({ reset: 0 });
  });
});
