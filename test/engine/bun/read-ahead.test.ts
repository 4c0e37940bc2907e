// Reading before the runtime does: whose bytes are read, whose are left to it, and what becomes of errors. The sockets are
// paused, so that the runtime leaves their bytes alone.

import { expect, test } from "bun:test";

import type { Socket } from "bun";

import { type AheadReader, ReadAhead } from "../../../src/engine/bun/read-ahead.ts";
import { READ_AHEAD } from "../../../src/shared/limits.ts";
import { until } from "../../support/until.ts";

const ON_LINUX = process.platform === "linux";

class Noted implements AheadReader {
  readsAhead = true;
  text = "";
  left = "";
  losses: string[] = [];
  onText: () => void = () => {};

  receive(bytes: Uint8Array): void {
    this.text += Buffer.from(bytes).toString("latin1");
    bytes.fill(0); // they are this reader's own
    this.onText();
  }

  unsent(bytes: Uint8Array, start: number, end: number): void {
    this.left += Buffer.from(bytes.subarray(start, end)).toString("latin1");
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

/** Two sockets of one ReadAhead: what the first's reader writes to the second is noted. */
async function round(
  write: (ahead: ReadAhead, sink: Noted, fd: number) => void,
): Promise<{ text: () => string; stop: () => void; other: Pair }> {
  const [it, other] = [await pair(), await pair()];
  const ahead = new ReadAhead();
  const [reader, sink] = [new Noted(), new Noted()];
  ahead.watch(it.fd, reader);
  ahead.watch(other.fd, sink);
  let text = "";
  other.far.reload({ socket: { data: (_socket, bytes) => void (text += bytes.toString()) } });
  reader.onText = () => write(ahead, sink, other.fd);
  it.far.write("go");
  await until("the round", () => {
    drain(ahead);
    return reader.text === "go";
  });
  const stop = (): void => [it, other].forEach((each) => each[Symbol.dispose]());
  return { text: () => text, stop, other };
}

test.if(ON_LINUX)("what is written in a round goes out behind it, in order", async () => {
  const big = Buffer.alloc(READ_AHEAD.batchBytes, "b"); // beside what is gathered it has no room
  const parts = ["one ", "two ", big, "three ", "four"].map((part) => Buffer.from(part));
  const expected = Buffer.concat(parts).toString();
  const { text, stop } = await round((ahead, sink, fd) => {
    for (const part of parts) {
      expect(ahead.write(sink, fd, part, 0, part.length)).toBe(part.length);
      part.fill(0); // it may be changed once that returns
    }
  });
  await until("all of it", () => text().length === expected.length);
  expect(text()).toBe(expected);
  stop();
});

test.if(ON_LINUX)("more messages than are gathered go out, too", async () => {
  const digits = Buffer.from("0123456789".repeat(READ_AHEAD.gatheredMax));
  const { text, stop } = await round((ahead, sink, fd) => {
    for (let i = 0; i < digits.length; i++) {
      expect(ahead.write(sink, fd, digits, i, i + 1)).toBe(i + 1);
    }
  });
  await until("all of it", () => text().length === digits.length);
  expect(text()).toBe(digits.toString());
  stop();
});

test.if(ON_LINUX)("what was gathered for a socket that is given up is not sent", async () => {
  const { text, stop, other } = await round((ahead, sink, fd) => {
    ahead.write(sink, fd, Buffer.from("dropped"), 0, 7);
    ahead.forget(fd, sink);
  });
  other.near.write("sent");
  await until("what follows", () => text() !== "");
  expect(text()).toBe("sent");
  stop();
});

test.if(ON_LINUX)("what a full socket does not take is its owner's, and no loss", async () => {
  let owner: Noted | undefined;
  const { stop } = await round((ahead, sink, fd) => {
    owner = sink;
    const bytes = Buffer.alloc(READ_AHEAD.readBytes, "a");
    while (sink.left === "") {
      ahead.write(sink, fd, bytes, 0, bytes.length);
      ahead.write(sink, fd, Buffer.from(" rest "), 1, 5);
    }
  });
  expect(owner!.left).toMatch(/^a*rest/);
  expect(owner!.losses).toEqual([]);
  stop();
});

test.if(ON_LINUX)("a write to a socket that was reset tells the loss", async () => {
  using it = await pair();
  const reader = new Noted();
  const ahead = new ReadAhead();
  expect(ahead.write(reader, it.fd, Buffer.from("taken"), 0, 3)).toBe(3);
  expect(reader.losses).toEqual([]);
  it.far.terminate();
  await until("the loss", () => {
    ahead.write(reader, it.fd, Buffer.from("lost"), 0, 4);
    return reader.losses.length > 0;
  });
  expect(["ECONNRESET", "EPIPE"]).toContain(reader.losses[0]!);
});

test.if(ON_LINUX)("what is no socket cannot be watched", () => {
  expect(new ReadAhead().watch(-1, new Noted())).toBe(false);
});
