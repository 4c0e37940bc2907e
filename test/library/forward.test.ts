// `forward` in both of its ways, in the kernel and in this thread, against the same expectations; then what is particular
// to each. Peers are node:net sockets.

import { describe, expect, spyOn, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Proxy } from "../../src/control/proxy.ts";
import type { Conn } from "../../src/library/conn.ts";
import { forward, handlePair, newForwarder } from "../../src/library/forward.ts";
import type { SocketConn } from "../../src/library/socket-conn.ts";
import { countDescriptors, residentBytes } from "../support/proc.ts";
import { until, within } from "../support/until.ts";
import { failure, makeConn, makeEnds } from "./support/pairs.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const LINUX = process.platform === "linux";

/** Whether the relay engine has the connection now. */
const inKernel = (conn: Conn): boolean => (conn as SocketConn).given;

const WAYS = LINUX ? (["kernel", "thread"] as const) : (["thread"] as const);

for (const way of WAYS) {
  const splice = way === "kernel";

  describe(`in the ${way}`, () => {
    test("bytes arrive exactly, both ways at once, and are counted", async () => {
      await using ends = await makeEnds();
      const { client, server, a, b } = ends;
      const relayed = forward(a, b, { splice });
      const [up, down] = [40 * MIB + 1, 30 * MIB + 2];
      const arrived = [server.expectStream(1, up), client.expectStream(2, down)];
      await Promise.all([
        client.sendStream(1, up).then(() => client.end()),
        server.sendStream(2, down).then(() => server.end()),
      ]);
      await within("both streams", Promise.all(arrived), 30_000);
      expect(await relayed).toEqual({ bytesUp: up, bytesDown: down });
      expect([a.bytesRead, a.bytesWritten, b.bytesRead, b.bytesWritten]).toEqual([
        up,
        down,
        down,
        up,
      ]);
      await Promise.all([a.closed, b.closed]);
    });

    test("the client's FIN comes through while the server goes on, and the other way round", async () => {
      for (const [first, second] of [
        ["client", "server"],
        ["server", "client"],
      ] as const) {
        await using ends = await makeEnds();
        const relayed = forward(ends.a, ends.b, { splice });
        await ends[first].write("question");
        ends[first].end();
        expect(await ends[second].readAll()).toBe("question");
        await ends[second].write("answer");
        ends[second].end();
        expect(await ends[first].readAll()).toBe("answer");
        const { bytesUp, bytesDown } = await relayed;
        expect([bytesUp, bytesDown]).toEqual(first === "client" ? [8, 6] : [6, 8]);
      }
    });

    test("a FIN that was there before the call is passed on", async () => {
      await using ends = await makeEnds();
      const { client, server, a, b } = ends;
      client.end();
      expect(await a.read()).toBeNull();
      const relayed = forward(a, b, { splice });
      expect(await server.ending).toBe("fin");
      await server.write("answer");
      server.end();
      expect(await client.readAll()).toBe("answer");
      expect(await relayed).toEqual({ bytesUp: 0, bytesDown: 6 });
    });

    for (const side of ["client", "server"] as const) {
      test(`a reset of the ${side} reaches the other side, and rejects with ERR_RESET`, async () => {
        await using ends = await makeEnds();
        const relayed = failure(forward(ends.a, ends.b, { splice }));
        await ends.client.write("x");
        await ends.server.readBytes(1);
        ends[side].reset();
        const other = side === "client" ? ends.server : ends.client;
        expect(await within("the reset", other.ending)).toBe("ECONNRESET");
        expect((await relayed).code as string).toBe("ERR_RESET");
        await Promise.all([ends.a.closed, ends.b.closed]);
      });
    }

    for (const end of ["a", "b"] as const) {
      test(`reset() of connection ${end} ends a relay under way`, async () => {
        await using ends = await makeEnds();
        const relayed = failure(forward(ends.a, ends.b, { splice }));
        await ends.client.write("x");
        await ends.server.readBytes(1);
        expect(inKernel(ends.a)).toBe(splice);
        ends[end].reset();
        expect(await within("client", ends.client.ending)).toBe("ECONNRESET");
        expect(await within("server", ends.server.ending)).toBe("ECONNRESET");
        expect(((await relayed).code ?? "") as string).toStartWith("ERR_");
        await Promise.all([ends.a.closed, ends.b.closed]);
      });
    }

    for (const ending of ["fin", "reset"] as const) {
      test(`the connections count while the relay is under way, and keep what they counted after a ${ending}`, async () => {
        await using ends = await makeEnds();
        const { client, server, a, b } = ends;
        await client.write("HELLO");
        await a.read();
        await a.write("hi");
        const relayed = forward(a, b, { splice });
        relayed.catch(() => {});
        await client.write("question");
        await server.readBytes(8);
        await server.write("answers");
        await client.readBytes(9);
        const counted = (): number[] => [a, b].flatMap((c) => [c.bytesRead, c.bytesWritten]);
        const all = [5 + 8, 2 + 7, 7, 8];
        await until("they have counted", () => counted().join() === all.join());
        expect(inKernel(a)).toBe(splice);
        if (ending === "reset") client.reset();
        else {
          client.end();
          server.end();
        }
        await within("closed", Promise.all([a.closed, b.closed]));
        expect(counted()).toEqual(all);
      });
    }

    test("what was read ahead, or put back, goes first", async () => {
      await using ends = await makeEnds();
      const { client, server, a, b } = ends;
      await client.write("HELLO world");
      const head = (await a.read())!;
      a.unread(head.subarray(6));
      await client.write(", again");
      await until("Bun has read it ahead", () => a.bytesRead === 18);
      const relayed = forward(a, b, { splice });
      expect(await server.readBytes(12)).toBe("world, again");
      client.end();
      server.end();
      expect(await relayed).toEqual({ bytesUp: 12, bytesDown: 0 });
    });

    test("a stalled reader stops the writer, memory stays bounded, then every byte arrives", async () => {
      await using ends = await makeEnds();
      const { client, server, a, b } = ends;
      server.socket.pause();
      const relayed = forward(a, b, { splice });
      const total = 96 * MIB;
      const before = residentBytes(process.pid);
      const sent = client.sendStream(7, total);
      await until("the writer stands", () => standsStill(client));
      expect(client.socket.bytesWritten - client.socket.writableLength).toBeLessThan(48 * MIB);
      expect(residentBytes(process.pid) - before).toBeLessThan(24 * MIB);
      server.socket.resume();
      const arrived = server.expectStream(7, total);
      await within("the sender", sent, 30_000);
      client.end();
      server.end();
      await within("the rest", arrived, 30_000);
      expect(await relayed).toEqual({ bytesUp: total, bytesDown: 0 });
    });

    test("without a byte for idleTimeout both sides are reset", async () => {
      await using ends = await makeEnds();
      const relayed = failure(forward(ends.a, ends.b, { splice, idleTimeout: 150 }));
      const began = performance.now();
      await ends.client.write("x");
      await ends.server.readBytes(1);
      expect(await within("client", ends.client.ending)).toBe("ECONNRESET");
      expect(await within("server", ends.server.ending)).toBe("ECONNRESET");
      expect(performance.now() - began).toBeGreaterThan(140);
      expect((await relayed).code as string).toBe("ERR_RESET");
    });

    test("200 pairs at once come through, and no descriptor is left", async () => {
      const settled = (): number => countDescriptors(process.pid).sockets;
      const before = settled();
      await Promise.all(Array.from({ length: 200 }, (_, i) => onePair(i, splice)));
      if (LINUX) await until("descriptors are closed", () => settled() <= before);
    });
  });
}

async function onePair(seed: number, splice: boolean): Promise<void> {
  await using ends = await makeEnds();
  const { client, server, a, b } = ends;
  const relayed = forward(a, b, { splice });
  const [up, down] = [(seed * 7919) % 200_000, (seed * 104_729) % 200_000];
  const arrived = [server.expectStream(seed, up), client.expectStream(seed + 1, down)];
  const upwards = client.sendStream(seed, up).then(() => client.end());
  if (seed % 2 === 0) await upwards;
  await Promise.all([upwards, server.sendStream(seed + 1, down).then(() => server.end())]);
  await Promise.all(arrived);
  expect(await relayed).toEqual({ bytesUp: up, bytesDown: down });
}

/** The system takes nothing more from this socket for 100 ms. */
function standsStill({
  socket,
}: {
  socket: { bytesWritten: number; writableLength: number };
}): Promise<boolean> {
  const taken = (): number => socket.bytesWritten - socket.writableLength;
  const before = taken();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  setTimeout(() => resolve(before > 0 && taken() === before), 100);
  return promise;
}

describe.if(LINUX)("which way is taken", () => {
  test("two plain connections go to the relay engine, unless told otherwise", async () => {
    for (const splice of [true, false]) {
      await using ends = await makeEnds();
      const relayed = forward(ends.a, ends.b, { splice });
      await ends.client.write("x");
      await ends.server.readBytes(1);
      expect([inKernel(ends.a), inKernel(ends.b), ends.a.fd === null]).toEqual([
        splice,
        splice,
        splice,
      ]);
      ends.client.end();
      ends.server.end();
      await relayed;
    }
  });

  test("unix sockets go to the relay engine as well", async () => {
    const folder = mkdtempSync(join(tmpdir(), "forward-"));
    {
      const at = { listen: `unix:${folder}/front`, server: { path: `${folder}/back` } };
      await using ends = await makeEnds({}, at);
      const { client, server, a, b } = ends;
      const relayed = forward(a, b);
      const arrived = server.expectStream(3, 8 * MIB);
      await client.sendStream(3, 8 * MIB);
      expect(inKernel(a)).toBe(true);
      client.end();
      server.end();
      await arrived;
      expect(await relayed).toEqual({ bytesUp: 8 * MIB, bytesDown: 0 });
    }
    rmSync(folder, { recursive: true });
  });

  test("a connection of another kind, a paused one, and one with a read under way stay in this thread", async () => {
    for (const kind of ["wrapped", "paused", "reading"] as const) {
      await using ends = await makeEnds();
      const { client, server, a, b } = ends;
      let first: Conn = a;
      let reading: Promise<Uint8Array | null> | null = null;
      if (kind === "wrapped") first = lowerCase(a);
      if (kind === "paused") a.pause();
      if (kind === "reading") reading = a.read();
      const relayed = forward(first, b);
      if (kind === "reading") {
        expect((await failure(relayed)).code as string).toBe("ERR_STATE");
        expect((await failure(reading!)).code as string).toBe("ERR_CLOSED");
        continue;
      }
      await client.write("BYTES");
      if (kind === "paused") a.resume();
      expect(await server.readBytes(5)).toBe(kind === "wrapped" ? "bytes" : "BYTES");
      expect(inKernel(a)).toBe(false);
      client.end();
      server.end();
      await relayed;
    }
  });

  test("more read ahead than the other side takes at once stays in this thread, and all of it arrives", async () => {
    await using ends = await makeEnds({ highWatermark: 32 * MIB });
    const { client, server, a, b } = ends;
    server.socket.pause();
    const sent = client.sendStream(9, 24 * MIB);
    const head = (await a.read())!;
    a.unread(head);
    await until("it is read ahead", () => a.bytesRead === 24 * MIB);
    await sent;
    const relayed = forward(a, b);
    client.end();
    server.end();
    const arrived = server.expectStream(9, 24 * MIB);
    server.socket.resume();
    await arrived;
    expect(await relayed).toEqual({ bytesUp: 24 * MIB, bytesDown: 0 });
  });

  test("a given connection refuses reads, writes and another forward, which do not disturb it", async () => {
    await using ends = await makeEnds();
    const relayed = forward(ends.a, ends.b);
    await until("it is given", () => inKernel(ends.a));
    expect((await failure(forward(ends.a, ends.b))).code as string).toBe("ERR_STATE");
    expect((await failure(ends.a.read())).code as string).toBe("ERR_STATE");
    expect((await failure(ends.b.write("x"))).code as string).toBe("ERR_STATE");
    ends.client.end();
    ends.server.end();
    await relayed;
    expect((await failure(ends.a.read())).code as string).toBe("ERR_CLOSED");
  });
});

/** A connection of a user's own: lower-cases what it reads. */
function lowerCase(conn: Conn): Conn {
  return {
    localAddr: conn.localAddr,
    remoteAddr: conn.remoteAddr,
    fd: null,
    closed: conn.closed,
    get bytesRead() {
      return conn.bytesRead;
    },
    get bytesWritten() {
      return conn.bytesWritten;
    },
    async read() {
      const chunk = await conn.read();
      return chunk === null ? null : Buffer.from(String(chunk).toLowerCase());
    },
    unread: (data) => conn.unread(data),
    write: (data) => conn.write(data),
    closeWrite: () => conn.closeWrite(),
    pause: () => conn.pause(),
    resume: () => conn.resume(),
    close: () => conn.close(),
    reset: () => conn.reset(),
    [Symbol.asyncIterator]: () => conn[Symbol.asyncIterator](),
    [Symbol.asyncDispose]: () => conn[Symbol.asyncDispose](),
  };
}

describe("handlePair", () => {
  test("relays without being awaited, and reports each end to the log", async () => {
    const lines: [object, string][] = [];
    const log = {
      debug: (fields: object, message: string) => void lines.push([fields, message]),
      info() {},
      warn() {},
      error() {},
    };
    await using ends = await makeEnds();
    expect(handlePair(ends.a, ends.b, { log })).toBeUndefined();
    await ends.client.write("hello");
    ends.client.end();
    ends.server.end();
    expect(await ends.server.readAll()).toBe("hello");
    await until("the line", () => lines.length === 1);
    expect(lines[0]![1]).toBe("pair closed");
    expect(lines[0]![0]).toMatchObject({ bytesUp: 5, bytesDown: 0 });
  });

  test("does not throw when a side is gone already, and resets the other", async () => {
    await using ends = await makeEnds();
    ends.a.reset();
    newForwarder().handlePair(ends.a, ends.b);
    expect(await within("the server", ends.server.ending)).toBe("ECONNRESET");
  });
});

test("a connection is not forwarded to itself", async () => {
  await using one = await makeConn();
  expect((await failure(forward(one.conn, one.conn))).code as string).toBe("ERR_USAGE");
  await one.conn.write("unharmed");
  expect(await one.peer.readBytes(8)).toBe("unharmed");
});

test("options out of bounds are refused by name, before anything moves", async () => {
  await using one = await makeConn();
  await using other = await makeConn();
  for (const options of [
    { idleTimeout: -1 },
    { bufferSize: 1 },
    { highWatermark: 1 },
    { highWatermark: 64 * KIB, lowWatermark: 65 * KIB },
    { highWatermark: 64 * KIB, lowWatermark: 64 * KIB },
  ]) {
    const error = await failure(forward(one.conn, other.conn, options));
    expect(error.code as string).toBe("ERR_USAGE");
    expect(error.message).toMatch(/^(idleTimeout|bufferSize|highWatermark|lowWatermark) is /);
    expect(() => newForwarder(options)).toThrow(error.message);
  }
});

test.if(LINUX)("one read in the kernel's relay does not overshoot the high watermark", async () => {
  const adopt = spyOn(Proxy.prototype, "adopt");
  try {
    await using ends = await makeEnds();
    const { client, server, a, b } = ends;
    const relayed = forward(a, b, { bufferSize: 64 * KIB, highWatermark: 8 * KIB });
    const arrived = server.expectStream(1, MIB);
    await client.sendStream(1, MIB);
    client.end();
    server.end();
    await within("the stream", arrived);
    expect(await relayed).toEqual({ bytesUp: MIB, bytesDown: 0 });
    expect(adopt.mock.calls[0]![1]).toMatchObject({ copyBytes: 8 * KIB });
  } finally {
    adopt.mockRestore();
  }
});
