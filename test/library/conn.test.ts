// Connections of `listen` and `dial`: bytes, half-close, resets, backpressure, and what each call says when it cannot.

import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { dial } from "../../src/library/dial.ts";
import { listen } from "../../src/library/listen.ts";
import type { SocketConn } from "../../src/library/socket-conn.ts";
import { streamBytes } from "../support/bytes.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";
import { failure, makeConn, wireAddress } from "./support/pairs.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

async function readAll(conn: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of conn) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe("bytes", () => {
  test("what each side writes arrives in order, and the counters count it", async () => {
    await using pair = await makeConn();
    const { conn, peer } = pair;
    await conn.write("hello ");
    await conn.write(Buffer.from("peer"));
    expect(await peer.readBytes(10)).toBe("hello peer");
    await peer.write("hello conn");
    peer.end();
    expect(await readAll(conn)).toBe("hello conn");
    expect([conn.bytesRead, conn.bytesWritten]).toEqual([10, 10]);
  });

  test("writes that are not awaited keep their order", async () => {
    await using pair = await makeConn();
    const { conn, peer } = pair;
    const writes = Array.from({ length: 64 }, (_, i) =>
      conn.write(streamBytes(1, i * 200_000, 200_000)),
    );
    const received = peer.expectStream(1, 64 * 200_000);
    await Promise.all(writes);
    await conn.closeWrite();
    await within("the stream", received);
    expect(conn.bytesWritten).toBe(64 * 200_000);
  });

  test("what is put back is read first, also by a read that waits", async () => {
    await using pair = await makeConn();
    const { conn, peer } = pair;
    await peer.write("HEADbody");
    const first = await conn.read();
    expect(String(first)).toBe("HEADbody");
    conn.unread(Buffer.from("body"));
    expect(String(await conn.read())).toBe("body");
    const waiting = conn.read();
    conn.unread(Buffer.from("again"));
    expect(String(await waiting)).toBe("again");
  });

  test("an empty write sends nothing and resolves", async () => {
    await using pair = await makeConn();
    await pair.conn.write("");
    expect(pair.conn.bytesWritten).toBe(0);
  });
});

describe("ending", () => {
  test("each direction ends by itself", async () => {
    await using pair = await makeConn();
    const { conn, peer } = pair;
    peer.end();
    expect(await conn.read()).toBeNull();
    expect(await conn.read()).toBeNull();
    await conn.write("still here");
    expect(await peer.readBytes(10)).toBe("still here");
    await conn.closeWrite();
    expect(await peer.ending).toBe("fin");
    await within("closed", conn.closed);
  });

  test("after its own FIN a connection reads on to the peer's", async () => {
    await using pair = await makeConn();
    const { conn, peer } = pair;
    await conn.closeWrite();
    expect(await peer.ending).toBe("fin");
    await peer.write("late answer");
    peer.end();
    expect(await readAll(conn)).toBe("late answer");
    await within("closed", conn.closed);
  });

  test("a connection that nobody read keeps its bytes until someone does, after the peer's end", async () => {
    await using pair = await makeConn();
    const { conn, peer } = pair;
    await peer.write(streamBytes(2, 0, 300_000));
    peer.end();
    await conn.closeWrite();
    let bytes = 0;
    for await (const chunk of conn) {
      expect(streamBytes(2, bytes, chunk.length).equals(chunk)).toBe(true);
      bytes += chunk.length;
    }
    expect(bytes).toBe(300_000);
  });

  test("closeWrite sends what was written before it", async () => {
    await using pair = await makeConn();
    const { conn, peer } = pair;
    const written = conn.write(streamBytes(3, 0, MIB - 1000));
    const more = conn.write(streamBytes(3, MIB - 1000, MIB - 1000));
    const most = conn.write(streamBytes(3, 2 * MIB - 2000, MIB - 1000));
    const ended = conn.closeWrite();
    await peer.expectStream(3, 3 * (MIB - 1000));
    await Promise.all([written, more, most, ended]);
  });

  test("close sends what was written before it, then ends both directions", async () => {
    await using pair = await makeConn();
    const { conn, peer } = pair;
    const writes = Array.from({ length: 8 }, (_, i) =>
      conn.write(streamBytes(4, i * 1_000_000, 1_000_000)),
    );
    void conn.close();
    await peer.expectStream(4, 8_000_000);
    await Promise.all(writes);
    await within("closed", conn.closed);
    expect((await failure(conn.read())).code as string).toBe("ERR_CLOSED");
    expect((await failure(conn.write("x"))).code as string).toBe("ERR_CLOSED");
    expect(conn.fd).toBeNull();
  });

  test("reset reaches the peer as a reset, and waiting calls learn of it", async () => {
    await using pair = await makeConn();
    const { conn, peer } = pair;
    const reading = failure(conn.read());
    conn.reset();
    conn.reset();
    expect((await reading).code as string).toBe("ERR_CLOSED");
    expect(await peer.ending).toBe("ECONNRESET");
    await within("closed", conn.closed);
  });

  test("the peer's reset fails a read and a write with ERR_RESET", async () => {
    await using pair = await makeConn();
    const { conn, peer } = pair;
    const filled = failure(
      Promise.all(Array.from({ length: 40 }, () => conn.write(Buffer.alloc(MIB)))),
    );
    const reading = failure(conn.read());
    peer.reset();
    expect((await reading).code as string).toBe("ERR_RESET");
    expect((await filled).code as string).toBe("ERR_RESET");
    expect((await failure(conn.write("x"))).code as string).toBe("ERR_RESET");
  });

  test("leaving an `await using` block closes", async () => {
    await using pair = await makeConn();
    {
      await using conn = pair.conn;
      await conn.write("bye");
    }
    expect(await pair.peer.readAll()).toBe("bye");
  });
});

describe("backpressure", () => {
  test("a write resolves only when the system has taken it all", async () => {
    await using pair = await makeConn();
    const { conn, peer } = pair;
    peer.socket.pause();
    let done = false;
    const written = conn.write(Buffer.alloc(32 * MIB)).then(() => (done = true));
    await until("the window is full", () => conn.bytesWritten > 64 * KIB && stalled(conn));
    expect(done).toBe(false);
    expect(conn.bytesWritten).toBeLessThan(32 * MIB);
    peer.socket.resume();
    await within("the write", written);
    expect(conn.bytesWritten).toBe(32 * MIB);
  });

  test("a reader that stops holds the watermark and one read, however much the peer sends", async () => {
    await using pair = await makeConn({ highWatermark: 128 * KIB, lowWatermark: 64 * KIB });
    const { conn, peer } = pair;
    const sent = peer.sendStream(5, 24 * MIB);
    const first = await conn.read();
    expect(first).not.toBeNull();
    await until("reading stops", () => stalled(conn));
    expect((conn as SocketConn).unreadBytes).toBeLessThan(128 * KIB + 512 * KIB);
    expect(conn.bytesRead).toBeLessThan(2 * MIB);
    let bytes = first!.length;
    while (bytes < 24 * MIB) bytes += (await conn.read())!.length;
    await within("the sender", sent);
    expect(bytes).toBe(24 * MIB);
  });

  test("a paused connection takes nothing, and goes on after resume", async () => {
    await using pair = await makeConn();
    const { conn, peer } = pair;
    conn.pause();
    const reading = conn.read();
    await peer.write("waits");
    await pair.peer.write(" in the kernel");
    expect(conn.bytesRead).toBe(0);
    conn.resume();
    expect(String(await reading)).toStartWith("waits");
  });
});

/** No byte moves for 60 ms. */
function stalled(conn: { bytesRead: number; bytesWritten: number }): Promise<boolean> {
  const before = conn.bytesRead + conn.bytesWritten;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  setTimeout(() => resolve(conn.bytesRead + conn.bytesWritten === before), 60);
  return promise;
}

describe("wrong calls", () => {
  test("a second read while one waits is ERR_STATE, and the first goes on", async () => {
    await using pair = await makeConn();
    const { conn, peer } = pair;
    const first = conn.read();
    expect((await failure(conn.read())).code as string).toBe("ERR_STATE");
    await peer.write("x");
    expect(String(await first)).toBe("x");
  });

  test("a write after closeWrite is ERR_CLOSED", async () => {
    await using pair = await makeConn();
    await pair.conn.closeWrite();
    await pair.conn.closeWrite();
    expect((await failure(pair.conn.write("x"))).code as string).toBe("ERR_CLOSED");
  });
});

describe("listening", () => {
  test("addresses are those of both ends, without brackets or mapped forms", async () => {
    await using listener = await listen(":0");
    const peer = await Wire.connect({ host: "127.0.0.1", port: listener.addr.port });
    const conn = (await listener.accept())!;
    expect(String(conn.remoteAddr)).toBe(`127.0.0.1:${peer.socket.localPort}`);
    expect(String(conn.localAddr)).toBe(`127.0.0.1:${listener.addr.port}`);
    expect(String(listener.addr)).toBe(`[::]:${listener.addr.port}`);
    expect(conn.fd).toBeGreaterThan(2);
    conn.reset();
    peer.destroy();
  });

  test("IPv6 and unix sockets work both ways", async () => {
    const folder = mkdtempSync(join(tmpdir(), "conn-"));
    for (const addr of ["[::1]:0", `unix:${folder}/s`]) {
      await using listener = await listen(addr);
      const dialled = await dial(String(listener.addr));
      const accepted = (await listener.accept())!;
      await dialled.write("up");
      expect(String(await accepted.read())).toBe("up");
      await accepted.write("down");
      expect(String(await dialled.read())).toBe("down");
      expect(dialled.remoteAddr.toString()).toBe(listener.addr.toString());
      accepted.reset();
      await dialled.close();
    }
    rmSync(folder, { recursive: true });
  });

  test("an address in use is ERR_LISTEN with the reason and a cure", async () => {
    await using listener = await listen("127.0.0.1:0");
    const error = await failure(listen(String(listener.addr)));
    expect(error.code as string).toBe("ERR_LISTEN");
    expect(error.message).toContain("EADDRINUSE");
    expect(error.message).toContain("Another program holds it");
  });

  test("a closed listener refuses clients, resets those in its queue, and ends its loop", async () => {
    const listener = await listen("127.0.0.1:0");
    const taken = await Wire.connect(wireAddress(listener.addr));
    const waiting = await Wire.connect(wireAddress(listener.addr));
    const conn = (await listener.accept())!;
    await listener.close();
    await listener.close();
    expect(await waiting.ending).toBe("ECONNRESET");
    await conn.write("still served");
    expect(await taken.readBytes(12)).toBe("still served");
    conn.reset();
    expect(await listener.accept()).toBeNull();
    for await (const next of listener) throw new Error(`accepted ${next.remoteAddr}`);
    expect((await failure(dial(String(listener.addr)))).code as string).toBe("ERR_CONNECT");
  });

  test("what does not fit in the accept queue is reset", async () => {
    await using listener = await listen("127.0.0.1:0", { acceptQueue: 1 });
    const first = await Wire.connect(wireAddress(listener.addr));
    const second = await Wire.connect(wireAddress(listener.addr));
    expect(await second.ending).toBe("ECONNRESET");
    const conn = (await listener.accept())!;
    expect(conn.remoteAddr.port).toBe(first.socket.localPort!);
    conn.reset();
  });
});

describe("settings out of bounds", () => {
  const wrong: readonly [string, object][] = [
    ["highWatermark", { highWatermark: 10 }],
    ["lowWatermark", { highWatermark: 64 * KIB, lowWatermark: 65 * KIB }],
    ["sendBufferSize", { sendBufferSize: 1 }],
    ["keepAlive", { keepAlive: -1 }],
    ["notsentLowat", { notsentLowat: 0 }],
  ];
  for (const [name, settings] of wrong) {
    test(`${name} is refused by name`, async () => {
      const error = await failure(listen("127.0.0.1:0", settings));
      expect(error.code as string).toBe("ERR_USAGE");
      expect(error.message).toStartWith(name);
    });
  }
});

test("a server of another make can be dialled, and its echo comes back", async () => {
  await using server = await WireServer.echo();
  const conn = await dial(server.target);
  await conn.write("echo");
  await conn.closeWrite();
  expect(await readAll(conn)).toBe("echo");
});
