// Reading before the runtime does: whose bytes are read, whose are left to it, and what becomes of errors. The sockets are
// paused, so that the runtime leaves their bytes alone.

import { expect, test } from "bun:test";

import type { Socket } from "bun";

import { type AheadReader, ReadAhead, sendAhead } from "../../../src/engine/bun/read-ahead.ts";
import { READ_AHEAD } from "../../../src/shared/limits.ts";
import { until } from "../../support/until.ts";

const ON_LINUX = process.platform === "linux";

class Noted implements AheadReader {
  readsAhead = true;
  text = "";
  losses: string[] = [];

  receive(bytes: Uint8Array): void {
    this.text += Buffer.from(bytes).toString("latin1");
    bytes.fill(0); // they are this reader's own
  }

  lost(code: string): void {
    this.losses.push(code);
  }
}

interface Pair extends Disposable {
  readonly far: Socket;
  readonly near: Socket;
  readonly fd: number;
}

async function pair(): Promise<Pair> {
  let near: Socket | undefined;
  const ignored = { data(): void {}, error(): void {} };
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      ...ignored,
      open(socket): void {
        socket.pause();
        near = socket;
      },
    },
  });
  const far = await Bun.connect({ hostname: "127.0.0.1", port: server.port, socket: ignored });
  await until("the other end", () => near !== undefined);
  return {
    far,
    near: near!,
    fd: (near as unknown as { fd: number }).fd,
    [Symbol.dispose]: () => {
      far.terminate();
      near!.terminate();
      server.stop(true);
    },
  };
}

/** Often enough that it is tried, however long nothing was found. */
function drain(ahead: ReadAhead): void {
  for (let i = 0; i <= READ_AHEAD.skipsMax; i++) ahead.drain();
}

test.if(ON_LINUX)("what several sockets have is read, each by its own reader", async () => {
  using first = await pair();
  using second = await pair();
  const ahead = new ReadAhead();
  const readers = [first, second].map(({ fd }) => {
    const reader = new Noted();
    expect(ahead.watch(fd, reader)).toBe(true);
    return reader;
  });
  for (const text of ["one ", "two "]) {
    first.far.write(`first ${text}`);
    second.far.write(`second ${text}`);
    await until(text, () => {
      drain(ahead);
      return readers.every((reader) => reader.text.endsWith(text));
    });
  }
  expect(readers.map(({ text }) => text)).toEqual([
    "first one first two ",
    "second one second two ",
  ]);
});

test.if(ON_LINUX)("a socket whose owner does not want it is left to the runtime", async () => {
  using it = await pair();
  using other = await pair();
  const ahead = new ReadAhead();
  const [reader, sign] = [new Noted(), new Noted()];
  ahead.watch(it.fd, reader);
  ahead.watch(other.fd, sign);
  reader.readsAhead = false;
  it.far.write("kept");
  other.far.write("seen");
  await until("the other's bytes", () => {
    drain(ahead);
    return sign.text === "seen";
  });
  expect(reader.text).toBe("");
  let text = "";
  it.near.reload({ socket: { data: (_socket, bytes) => void (text += bytes.toString()) } });
  it.near.resume();
  await until("the runtime's read", () => text === "kept");
});

test.if(ON_LINUX)("a reader that is forgotten is told nothing", async () => {
  using it = await pair();
  using other = await pair();
  const ahead = new ReadAhead();
  const [reader, sign] = [new Noted(), new Noted()];
  ahead.watch(it.fd, reader);
  ahead.watch(other.fd, sign);
  ahead.forget(it.fd, sign); // somebody else's
  it.far.write("a");
  await until("its bytes", () => {
    drain(ahead);
    return reader.text === "a";
  });
  ahead.forget(it.fd, reader);
  it.far.write("b");
  other.far.write("b");
  await until("the other's bytes", () => {
    drain(ahead);
    return sign.text === "b";
  });
  expect(reader.text).toBe("a");
});

test.if(ON_LINUX)(
  "a write to a socket that was reset tells the loss, once the kernel knows",
  async () => {
    using it = await pair();
    const reader = new Noted();
    expect(sendAhead(reader, it.fd, Buffer.from("taken"), 3)).toBe(3);
    expect(reader.losses).toEqual([]);
    it.far.terminate();
    await until("the loss", () => {
      sendAhead(reader, it.fd, Buffer.from("lost"), 4);
      return reader.losses.length > 0;
    });
    expect(["ECONNRESET", "EPIPE"]).toContain(reader.losses[0]!);
  },
);

test.if(ON_LINUX)("a write that finds no room takes nothing, and is no loss", async () => {
  using it = await pair();
  it.far.pause();
  const reader = new Noted();
  const bytes = new Uint8Array(64 * 1024);
  let sent = 0;
  await until("a full socket", () => (sent = sendAhead(reader, it.fd, bytes, bytes.length)) === 0);
  expect([sent, reader.losses]).toEqual([0, []]);
});

test.if(ON_LINUX)("what is no socket cannot be watched", () => {
  expect(new ReadAhead().watch(-1, new Noted())).toBe(false);
});
