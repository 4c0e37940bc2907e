// The contract of streams beyond that of wires: codes, limits, directions, datagrams, and what a connection holds.

import { expect } from "bun:test";

import type { QuicError } from "../../../../src/protocols/quic/transport.ts";
import { streamBytes, StreamCheck } from "../../../support/bytes.ts";
import { until, within } from "../../../support/until.ts";
import { Recorder } from "../../wire/recorder.ts";
import { KIB, Link, type Players, TRANSPORT } from "../harness.ts";

export function streams(players: Players): void {
  echoes(players);
  codes(players);
  limits(players);
  others(players);
}

function echoes(players: Players): void {
  const { test } = players;
  test("bytes of every size come back, and the end behind them", async () => {
    await using link = await Link.make(players);
    const sizes = [0, 1, 63, 1_199, 1_200, 1_201, 16_383, 16_384, 70_000, 1_000_000];
    const rounds = sizes.map(async (size, seed) => {
      const stream = link.client.connection.openStream()!;
      const recorder = new Recorder();
      recorder.adopt(stream);
      recorder.expectStream(seed);
      recorder.sendStream(seed, size);
      recorder.onEndOf = () => {};
      // Behind what waits, if anything does.
      await until("the writer", () => !recorder.stopped);
      recorder.end();
      expect(await within(`the close of ${size}`, recorder.closed)).toBeNull();
      expect(recorder.received).toBe(size);
      expect(recorder.hasEnded).toBe(true);
    });
    await Promise.all(rounds);
    await until("both forget their streams", () => {
      return link.client.connection.streams === 0 && link.accepted.connection.streams === 0;
    });
  });

  test("the server opens streams, too", async () => {
    await using link = await Link.make(players);
    const stream = link.accepted.connection.openStream()!;
    const recorder = new Recorder();
    recorder.adopt(stream);
    recorder.write(Buffer.from("from the server"));
    recorder.end();
    expect(await within("the close", recorder.closed)).toBeNull();
    expect(recorder.text).toBe("from the server");
    expect(stream.id % 4).toBe(1);
    expect(link.client.streams[0]!.id).toBe(stream.id);
  });

  test("a stream knows its connection, its direction, and the peer", async () => {
    await using link = await Link.make(players);
    const { clientStream, serverStream } = await link.streams();
    expect(clientStream.id).toBe(serverStream.id);
    expect([clientStream.direction, serverStream.direction]).toEqual(["both", "both"]);
    expect(serverStream.connection).toBe(link.accepted.connection);
    expect(clientStream.connection).toBe(link.client.connection);
    expect(clientStream.peer.port).toBe(link.server.address.port);
    expect([...serverStream.peer.ip.subarray(10)]).toEqual([255, 255, 127, 0, 0, 1]);
    expect([clientStream.fd, serverStream.early]).toEqual([-1, false]);
    expect(serverStream.tls?.alpn).toBe("echo");
  });

  test("many streams at once each get their own bytes", async () => {
    await using link = await Link.make(players);
    const length = 200_000;
    const recorders = Array.from({ length: 60 }, (_, seed) => {
      const recorder = new Recorder();
      recorder.adopt(link.client.connection.openStream()!);
      recorder.expectStream(seed);
      recorder.sendStream(seed, length);
      return recorder;
    });
    await until("all bytes", () => recorders.every(({ received }) => received === length), 30_000);
  });

  test("one way streams carry bytes one way", async () => {
    await using link = await Link.make(players);
    const arrival = link.accepted.recordStream();
    const out = link.client.connection.openUnidirectional()!;
    expect([out.direction, out.id % 4]).toEqual(["out", 2]);
    const recorder = new Recorder();
    recorder.adopt(out);
    recorder.write(Buffer.from("one way"));
    recorder.end();
    const { stream, recorder: server } = await arrival;
    await within("the end", server.ended);
    expect(server.text).toBe("one way");
    expect(stream.direction).toBe("in");
    expect(stream.write(Buffer.from("back"))).toBe(false);
    expect(await within("the reader's close", server.closed)).toBeNull();
    expect(await within("the writer's close", recorder.closed)).toBeNull();
  });
}

async function failure(recorder: Recorder): Promise<QuicError> {
  return (await within("the failure", recorder.closed)) as QuicError;
}

function codes(players: Players): void {
  const { test } = players;
  test("abort is a reset with a code, from either side", async () => {
    await using link = await Link.make(players);
    const first = await link.streams();
    first.clientStream.abort(4711);
    const seen = await failure(first.server);
    expect([seen.code, seen.wireCode]).toEqual(["ERR_QUIC_RESET", 4711]);
    const second = await link.streams();
    second.serverStream.abort(12);
    const back = await failure(second.client);
    expect([back.code, back.wireCode]).toEqual(["ERR_QUIC_RESET", 12]);
    expect([first.client.closes, second.server.closes]).toEqual([0, 0]);
    await until("both forget their streams", () => {
      return link.client.connection.streams === 0 && link.accepted.connection.streams === 0;
    });
  });

  test("a reset reaches a paused reader", async () => {
    await using link = await Link.make(players);
    const { client, server, clientStream, serverStream } = await link.streams();
    serverStream.pause();
    client.write(streamBytes(1, 0, 10_000));
    clientStream.abort(5);
    expect((await failure(server)).wireCode).toBe(5);
  });

  test("stopSending tells the writer its code, and the other direction goes on", async () => {
    await using link = await Link.make(players);
    const { client, server, clientStream, serverStream } = await link.streams();
    let stopped = -1;
    const { onData, onDrain, onEnd, onClose } = client;
    clientStream.handler = {
      onData: onData.bind(client),
      onDrain: onDrain.bind(client),
      onEnd: onEnd.bind(client),
      onClose: onClose.bind(client),
      onStopSending: (code) => void (stopped = code),
    };
    serverStream.stopSending(77);
    await until("it is stopped", () => stopped === 77);
    expect(clientStream.write(Buffer.from("too late"))).toBe(false);
    server.write(Buffer.from("the answer"));
    server.end();
    await within("the end", client.ended);
    expect(client.text).toBe("the answer");
    expect(await within("the client's close", client.closed)).toBeNull();
    expect(await within("the server's close", server.closed)).toBeNull();
    expect(server.text).toBe("");
  });

  test("stopSending ends the stream of a writer that knows no better", async () => {
    await using link = await Link.make(players);
    const { client, serverStream } = await link.streams();
    serverStream.stopSending(78);
    const error = await failure(client);
    expect([error.code, error.wireCode]).toEqual(["ERR_QUIC_RESET", 78]);
  });

  test("streams that are reset leave room for others, and for the connection's bytes", async () => {
    const transport = { ...TRANSPORT, bidirectionalStreams: 4 };
    await using link = await Link.make(players, { transport });
    for (let round = 0; round < 40; round++) {
      const { client, clientStream, serverStream } = await link.streams();
      serverStream.pause();
      client.write(streamBytes(1, 0, 50_000));
      await until("the bytes left", () => client.wire.pending === 0);
      if (round % 2 === 0) serverStream.abort(1);
      else clientStream.abort(1);
      await until("it is over at both ends", () => {
        return link.client.connection.streams === 0 && link.accepted.connection.streams === 0;
      });
    }
  }, 30_000);
}

function limits(players: Players): void {
  const { test } = players;
  test("no more streams are opened than the peer allows, and it is told when more are", async () => {
    const transport = { ...TRANSPORT, bidirectionalStreams: 3 };
    await using link = await Link.make(players, { transport });
    const { connection } = link.client;
    const opened = [1, 2, 3].map(() => {
      const recorder = new Recorder();
      recorder.adopt(connection.openStream()!);
      recorder.write(Buffer.from("x"));
      return recorder;
    });
    expect(connection.openStream()).toBeNull();
    await until("the echoes", () => opened.every(({ text }) => text === "x"));
    expect(link.client.availables).toBe(0);
    opened[1]!.end();
    await until("streams are available", () => link.client.availables === 1);
    const next = new Recorder();
    next.adopt(connection.openStream()!);
    next.write(Buffer.from("y"));
    await until("the echo", () => next.text === "y");
  });

  test("the windows bound what comes for readers that stand still", async () => {
    const transport = { ...TRANSPORT, connectionWindow: 512 * KIB };
    await using link = await Link.make(players, { transport });
    const pairs = [await link.streams(), await link.streams(), await link.streams()];
    for (const { serverStream } of pairs) serverStream.pause();
    pairs.forEach(({ client }, seed) => client.sendStream(seed, 4 * 1024 * KIB));
    await until("the writers stop", () => pairs.every(({ client }) => client.stopped));
    const sent = pairs.map(({ client }) => client.wire.pending);
    expect(Math.min(...sent)).toBeGreaterThanOrEqual(256 * KIB);
    for (const { server, serverStream } of pairs) {
      server.expectStream(pairs.findIndex((pair) => pair.server === server));
      serverStream.resume();
    }
    await until("all bytes", () => pairs.every(({ server }) => server.received === 4 * 1024 * KIB));
  });

  test("a reader that stands still holds up no other stream", async () => {
    const transport = { ...TRANSPORT, streamWindow: 64 * KIB };
    await using link = await Link.make(players, { transport });
    const stalled = await link.streams();
    stalled.serverStream.pause();
    stalled.client.sendStream(1, 4 * 1024 * KIB);
    await until("the writer stops", () => stalled.client.stopped);
    const lively = await link.streams();
    const check = new StreamCheck(2);
    lively.server.onChunk = (bytes) => check.take(bytes);
    lively.client.sendStream(2, 2 * 1024 * KIB);
    await until("the other's bytes", () => check.received === 2 * 1024 * KIB);
  });
}

function others(players: Players): void {
  const { test } = players;
  test("datagrams arrive whole, and those that are too long are refused", async () => {
    await using link = await Link.make(players);
    expect(link.client.connection.sendDatagram(Buffer.from("ping"))).toBe(true);
    await until("the datagram", () => link.accepted.datagrams.includes("ping"));
    expect(link.accepted.connection.sendDatagram(Buffer.from("pong"))).toBe(true);
    await until("the answer", () => link.client.datagrams.includes("pong"));
    expect(link.client.connection.sendDatagram(new Uint8Array(70_000))).toBe(false);
  });

  test("datagrams are refused where the peer takes none", async () => {
    const transport = { ...TRANSPORT, datagrams: false };
    await using link = await Link.make(players, { transport });
    expect(link.client.connection.sendDatagram(Buffer.from("ping"))).toBe(false);
  });
}
