// Forwarding while every byte is seen: what clients and targets notice, and what the capture says of it. Peers are node:net.

import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

import { pcapngFormat } from "../../src/capture/pcapng-trace.ts";
import { CaptureRelay, openListener } from "../../src/capture/relay.ts";
import { Sink } from "../../src/capture/sink.ts";
import { clock } from "../../src/capture/trace.ts";
import { checkSource } from "../../src/config/check.ts";
import { flagSource } from "../../src/config/flags.ts";
import { compile } from "../../src/control/compile.ts";
import { silentLog } from "../../src/shared/log.ts";
import type { RelayPlan } from "../../src/shared/plan.ts";
import { wireAddress } from "../library/support/pairs.ts";
import { StreamCheck } from "../support/bytes.ts";
import { freePort, inFolder, temporaryFolder } from "../support/daemon.ts";
import { pipe } from "../support/pipe.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";
import { followStreams, type Packet, readPcapng } from "./read-pcapng.ts";

/** Sequence numbers wrap with the first bytes. */
const INITIAL = 2 ** 32 - 5;

/** A capture of `connections` connections to `target`, written to `fd`. */
async function startRelay(target: string, fd: number, listen: string, connections: number) {
  const machine = { platform: process.platform, cpus: 1, folder: "/srv", terminal: false };
  const { listeners } = compile(checkSource(flagSource({ listen, target })), machine);
  const [plan] = listeners as [RelayPlan];
  const listener = await openListener(plan, silentLog);
  const onFailure = (error: Error): void => {
    throw error;
  };
  const sink = new Sink({ fd, regular: false, onFailure });
  const format = pcapngFormat({
    application: "test",
    listen: String(listener.addr),
    target,
    clock,
    chance: () => INITIAL,
  });
  const unreachable: string[] = [];
  const onUnreachable = (detail: string): void => void unreachable.push(detail);
  const options = { listener, plan, format, sink, log: silentLog, connections };
  const relay = new CaptureRelay({ ...options, onUnreachable });
  void sink.write(format.head);
  return { address: wireAddress(listener.addr), relay, sink, unreachable, over: relay.run() };
}

/** Into a file. */
async function startCapture(target: string, listen = "127.0.0.1:0", connections = 1) {
  const folder = temporaryFolder();
  const path = join(folder, "traffic.pcapng");
  const fd = openSync(path, "w");
  const started = await startRelay(target, fd, listen, connections);
  return {
    ...started,
    /** Of all connections, once they are over. */
    async packets(): Promise<Packet[]> {
      await within("the end of the relay", started.over);
      expect(await started.sink.close(10_000)).toBe(true);
      closeSync(fd);
      return readPcapng(readFileSync(path)).packets;
    },
    async [Symbol.asyncDispose]() {
      await started.relay.kill();
      started.sink.unblock();
      await within("the end of the relay", started.over);
      rmSync(folder, { recursive: true });
    },
  };
}

/** The system takes nothing more of what this client sends: for so many looks in a row. */
async function stalled(client: Wire): Promise<void> {
  let looks = 0;
  let before = 0;
  await until("the client is held up", () => {
    const { bytesWritten, writableLength } = client.socket;
    const taken = bytesWritten - writableLength;
    looks = taken === before && writableLength > 0 ? looks + 1 : 0;
    before = taken;
    return looks > 20;
  });
}

const commentsOf = (packets: readonly Packet[]): string[] =>
  packets.flatMap(({ comments }) => comments);

describe("both streams arrive, and are in the capture", () => {
  const UP = 3_000_017;
  const DOWN = 5_000_003;

  async function exchange(target: WireServer, listen?: string): Promise<Packet[]> {
    await using capture = await startCapture(target.target, listen);
    const client = await Wire.connect(capture.address);
    const server = await target.accept();
    const arrived = [server.expectStream(1, UP), client.expectStream(2, DOWN)];
    await Promise.all([client.sendStream(1, UP), server.sendStream(2, DOWN)]);
    client.end();
    server.end();
    await within("both streams", Promise.all(arrived));
    const packets = await capture.packets();
    const streams = followStreams(packets);
    for (const [seed, stream, length] of [
      [1, streams.client, UP],
      [2, streams.proxy, DOWN],
    ] as const) {
      new StreamCheck(seed).take(stream);
      expect(stream.length).toBe(length);
    }
    expect(streams.ends.toSorted()).toEqual(["client FIN", "proxy FIN"]);
    return packets;
  }

  test("over IPv4, with the client's own address", async () => {
    await using target = await WireServer.listen();
    const packets = await exchange(target);
    expect(packets[0]!.from).toMatch(/^127\.0\.0\.1 \d+$/);
    expect(commentsOf(packets)[0]).toBe(`connection 1, to ${target.target}`);
  });

  test("over IPv6", async () => {
    await using target = await WireServer.listen(undefined, { host: "::1" });
    const packets = await exchange(target, "[::1]:0");
    const loopback = `${"0".repeat(31)}1`;
    expect(packets[0]!.from).toStartWith(`${loopback} `);
    expect(packets[0]!.to).toStartWith(`${loopback} `);
  });

  test("over unix sockets", async () => {
    await inFolder(async (folder) => {
      const [front, back] = [join(folder, "front.sock"), join(folder, "back.sock")];
      await using target = await WireServer.listen(undefined, { path: back });
      const packets = await exchange(target, `unix:${front}`);
      expect(commentsOf(packets)).toEqual([
        `connection 1, from a client of unix:${front}, to unix:${back}`,
        expect.stringContaining(`connected to unix:${back} after `),
      ]);
    });
  });
});

test("a half-closed connection stays half open, and is shown as that", async () => {
  await using target = await WireServer.listen();
  await using capture = await startCapture(target.target);
  const client = await Wire.connect(capture.address);
  const server = await target.accept();
  await client.write("question");
  client.end();
  expect(await within("the question", server.readAll())).toBe("question");
  const answer = client.readAll();
  await server.write("answer");
  server.end();
  expect(await within("the answer", answer)).toBe("answer");
  const { client: up, proxy: down, ends } = followStreams(await capture.packets());
  expect([String(up), String(down), ends]).toEqual([
    "question",
    "answer",
    ["client FIN", "proxy FIN"],
  ]);
});

test("a client's reset reaches the target, and is the client's in the capture", async () => {
  await using target = await WireServer.listen();
  await using capture = await startCapture(target.target);
  const client = await Wire.connect(capture.address);
  const server = await target.accept();
  await client.write("before");
  expect(await within("bytes", server.readBytes(6))).toBe("before");
  client.reset();
  expect(await within("the end", server.ending)).toBe("ECONNRESET");
  const packets = await capture.packets();
  expect(followStreams(packets).ends).toEqual(["client RST"]);
  expect(commentsOf(packets).at(-1)).toBe("the client reset it");
});

test("a target's reset reaches the client, and is the proxy's in the capture", async () => {
  await using target = await WireServer.listen();
  await using capture = await startCapture(target.target);
  const client = await Wire.connect(capture.address);
  const server = await target.accept();
  await server.write("before");
  expect(await within("bytes", client.readBytes(6))).toBe("before");
  server.reset();
  expect(await within("the end", client.ending)).toBe("ECONNRESET");
  const packets = await capture.packets();
  expect(followStreams(packets).ends).toEqual(["proxy RST"]);
  expect(commentsOf(packets).at(-1)).toBe("the target broke the connection off");
});

test("a target that cannot be reached resets the client, and the capture says why", async () => {
  const target = `127.0.0.1:${await freePort()}`;
  await using capture = await startCapture(target);
  const client = await Wire.connect(capture.address);
  expect(await within("the end", client.ending)).toBe("ECONNRESET");
  const packets = await capture.packets();
  expect(packets.map(({ tcp }) => tcp.join("-"))).toEqual(["SYN", "SYN-ACK", "ACK", "RST-ACK"]);
  expect(commentsOf(packets)[1]).toStartWith(`cannot connect to ${target}: ECONNREFUSED`);
  expect(capture.unreachable).toEqual([expect.stringContaining(target)]);
});

test("after its number of connections it accepts no more, and ends with the last", async () => {
  await using target = await WireServer.echo();
  await using capture = await startCapture(target.target, "127.0.0.1:0", 3);
  const clients = await Promise.all([1, 2, 3].map(() => Wire.connect(capture.address)));
  for (const [i, client] of clients.entries()) {
    const answer = client.readAll();
    await client.write(`client ${i}`);
    client.end();
    expect(await within("the echo", answer)).toBe(`client ${i}`);
  }
  const packets = await capture.packets();
  expect(capture.relay.accepted).toBe(3);
  const names = new Set(packets.map(({ from, to }) => [from, to].toSorted().join()));
  expect(names.size).toBe(3);
  await expect(Wire.connect(capture.address)).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test("stopping resets what is open, also a connection whose target takes nothing", async () => {
  await using target = await WireServer.listen((wire) => wire.socket.pause());
  await using capture = await startCapture(target.target, "127.0.0.1:0", 0);
  const client = await Wire.connect(capture.address);
  const sending = client.sendStream(1, 64 * 1024 * 1024);
  await stalled(client);
  await capture.relay.kill();
  await within("sending ends", sending);
  const packets = await capture.packets();
  expect(followStreams(packets).ends).toEqual(["proxy RST"]);
  expect(commentsOf(packets).at(-1)).toBe("the capture was stopped");
  expect(capture.relay.open).toBe(0);
});

test("an output that nobody takes holds the connection up, within bounds, and nothing is lost", async () => {
  const BYTES = 48 * 1024 * 1024;
  const HELD_MAX = 24 * 1024 * 1024; // kernel buffers on three sockets and a pipe, and the proxy's watermarks
  await using target = await WireServer.listen();
  const [reader, writer] = pipe();
  const { address, sink, relay, over } = await startRelay(target.target, writer, "127.0.0.1:0", 1);
  let given = 0;
  const write = sink.write.bind(sink);
  sink.write = (record) => {
    given += record.length;
    return write(record);
  };
  const client = await Wire.connect(address);
  const server = await target.accept();
  const arrived = server.expectStream(1, BYTES);
  const sent = client.sendStream(1, BYTES);
  await until(
    "the client is held up",
    () => given > 1024 * 1024 && client.socket.writableLength > 0,
  );
  expect(given).toBeLessThan(4 * 1024 * 1024); // a MiB that waits, and one record above it
  expect(server.received).toBeLessThan(HELD_MAX);
  // Whoever takes the output lets it go on.
  const file = Bun.file(reader).stream();
  const reading = (async () => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of file) chunks.push(chunk);
    return Buffer.concat(chunks);
  })();
  await sent;
  client.end();
  server.end();
  await within("the stream", arrived, 30_000);
  await within("the end of the relay", over);
  expect(await sink.close(10_000)).toBe(true);
  closeSync(writer);
  const { client: up } = followStreams(readPcapng(await within("the output", reading)).packets);
  new StreamCheck(1).take(up);
  expect(up.length).toBe(BYTES);
  await relay.kill();
});
