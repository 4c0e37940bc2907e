// The contract of src/engine/engine.ts, held by every engine through a proxy in this process: ends, resets, failing
// targets, limits and timeouts. Larger loads are in files of their own beside this one.

import { expect, test } from "bun:test";

import { forEveryEngine } from "../support/engines.ts";
import { Relay } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { type Wire, WireServer } from "../support/wire.ts";

/** A client, its relay and the target's end of the same connection. */
async function pairThrough(
  relay: Relay,
  server: WireServer,
): Promise<{ client: Wire; target: Wire }> {
  const client = await relay.connect();
  return { client, target: await within("the target is reached", server.accept()) };
}

forEveryEngine((engine) => {
  test("bytes go both ways at once", async () => {
    await using server = await WireServer.listen();
    await using relay = await Relay.start(engine, { target: server.target });
    const { client, target } = await pairThrough(relay, server);
    const checks = [client.expectStream(1, 3_000_000), target.expectStream(2, 2_000_000)];
    await Promise.all([client.sendStream(2, 2_000_000), target.sendStream(1, 3_000_000)]);
    client.end();
    target.end();
    await within("both streams arrive", Promise.all(checks));
  });

  test("a target that speaks first is heard", async () => {
    await using server = await WireServer.listen((wire) => void wire.write("220 ready"));
    await using relay = await Relay.start(engine, { target: server.target });
    const client = await relay.connect();
    expect(await within("greeting", client.readBytes(9))).toBe("220 ready");
  });

  test("a client's FIN reaches the target after all bytes, and the answer still comes", async () => {
    await using server = await WireServer.listen();
    await using relay = await Relay.start(engine, { target: server.target });
    const { client, target } = await pairThrough(relay, server);
    await client.write("question");
    client.end();
    expect(await within("the question ends", target.readAll())).toBe("question");
    await target.write("answer, ");
    await target.write("in two parts");
    target.end();
    expect(await within("the answer ends", client.readAll())).toBe("answer, in two parts");
    expect(await client.ending).toBe("fin");
  });

  test("a target's FIN reaches the client, and the client may go on sending", async () => {
    await using server = await WireServer.listen();
    await using relay = await Relay.start(engine, { target: server.target });
    const { client, target } = await pairThrough(relay, server);
    await target.write("go on");
    target.end();
    expect(await within("the client reads to the end", client.readAll())).toBe("go on");
    const check = target.expectStream(7, 1_000_000);
    await client.sendStream(7, 1_000_000);
    client.end();
    await within("the stream arrives", check);
  });

  test("a FIN without any byte is passed on", async () => {
    await using server = await WireServer.listen();
    await using relay = await Relay.start(engine, { target: server.target });
    const { client, target } = await pairThrough(relay, server);
    client.end();
    expect(await within("the FIN", target.ending)).toBe("fin");
    target.end();
    expect(await within("the FIN back", client.ending)).toBe("fin");
  });

  test("what a client sent before it closed reaches a target that reads late", async () => {
    await using server = await WireServer.listen();
    await using relay = await Relay.start(engine, { target: server.target });
    const { client, target } = await pairThrough(relay, server);
    target.socket.pause();
    const check = target.expectStream(3, 64_000_000);
    const sent = client.sendStream(3, 64_000_000).then(() => client.end());
    await until("the client is held back", () => client.socket.writableNeedDrain);
    target.socket.resume();
    await within("the stream arrives", Promise.all([check, sent]));
  });

  test("a client's reset arrives at the target as a reset", async () => {
    await using server = await WireServer.listen();
    await using relay = await Relay.start(engine, { target: server.target });
    const { client, target } = await pairThrough(relay, server);
    await client.write("x");
    await target.readBytes(1);
    client.reset();
    expect(await within("the reset", target.ending)).toBe("ECONNRESET");
    await until("the row is free", () => relay.proxy.connections().length === 0);
    expect(relay.stats.active).toBe(0);
    expect(relay.stats.errors.ECONNRESET).toBe(1);
  });

  test("a target's reset arrives at the client as a reset", async () => {
    await using server = await WireServer.listen();
    await using relay = await Relay.start(engine, { target: server.target });
    const { client, target } = await pairThrough(relay, server);
    target.reset();
    expect(await within("the reset", client.ending)).toBe("ECONNRESET");
    await until("the row is free", () => relay.proxy.connections().length === 0);
  });

  test("a reset after a FIN is a reset, too", async () => {
    await using server = await WireServer.listen();
    await using relay = await Relay.start(engine, { target: server.target });
    const { client, target } = await pairThrough(relay, server);
    client.end();
    expect(await within("the FIN", target.ending)).toBe("fin");
    const gone = Promise.withResolvers<string>();
    target.socket.on("error", (error: NodeJS.ErrnoException) => gone.resolve(error.code ?? "?"));
    target.socket.on("close", () => gone.resolve("closed"));
    client.reset();
    // The kernel says EPIPE instead of ECONNRESET once a FIN has been received (tcp_reset).
    expect(["ECONNRESET", "EPIPE", "closed"]).toContain(await within("the reset", gone.promise));
    await until("the row is free", () => relay.proxy.connections().length === 0);
  });

  test("a reset ends a direction whose reader is stalled", async () => {
    await using server = await WireServer.listen();
    await using relay = await Relay.start(engine, { target: server.target });
    const { client, target } = await pairThrough(relay, server);
    target.socket.pause();
    void client.sendStream(1, 64_000_000);
    await until("the client is held back", () => client.socket.writableNeedDrain);
    client.reset();
    await until("the row is free", () => relay.proxy.connections().length === 0);
    target.socket.resume();
    expect(await within("the reset", target.ending)).toBe("ECONNRESET");
  });

  test("a target that closes at once ends the client in order", async () => {
    await using server = await WireServer.listen((wire) => wire.end());
    await using relay = await Relay.start(engine, { target: server.target });
    for (let i = 0; i < 20; i++) {
      const client = await relay.connect();
      expect(await within("the end", client.ending)).toBe("fin");
      client.end();
      await within("closed", client.closed);
    }
    await until("no row is left", () => relay.proxy.connections().length === 0);
    expect(relay.stats.targets[0]).toMatchObject({ connects: 20, failures: 0, active: 0 });
  });

  test("disconnect resets one connection and leaves the others", async () => {
    await using server = await WireServer.listen();
    await using relay = await Relay.start(engine, { target: server.target });
    const first = await pairThrough(relay, server);
    const second = await pairThrough(relay, server);
    const clientPort = first.client.socket.localPort;
    const row = relay.proxy.connections().find((c) => c.client === `127.0.0.1:${clientPort}`)!;
    relay.proxy.disconnect(row.worker, row.id);
    expect(await within("the client's reset", first.client.ending)).toBe("ECONNRESET");
    expect(await within("the target's reset", first.target.ending)).toBe("ECONNRESET");
    await second.client.write("still here");
    expect(await within("the other one", second.target.readBytes(10))).toBe("still here");
    relay.proxy.disconnect(row.worker, row.id); // over: nothing happens
    expect(relay.proxy.connections()).toHaveLength(1);
  });

  test("urgent data stays in the stream", async () => {
    if (process.platform !== "linux") return;
    await using server = await WireServer.listen();
    await using relay = await Relay.start(engine, { target: server.target });
    const { client, target } = await pairThrough(relay, server);
    await client.write("before ");
    await target.readBytes(7);
    const { libc } = await import("../../src/ffi/libc.ts");
    const fd = (client.socket as unknown as { _handle: { fd: number } })._handle.fd;
    const MSG_OOB = 1;
    expect(libc.send(fd, Buffer.from("u"), 1, MSG_OOB)).toBe(1);
    await client.write(" after");
    client.end();
    expect(await within("the stream", target.readAll())).toBe("u after");
  });

  test("urgent data behind a full read and behind bulk, with a FIN at once, stays in the stream", async () => {
    if (process.platform !== "linux") return;
    await using server = await WireServer.listen();
    await using relay = await Relay.start(engine, { target: server.target });
    for (const before of [64 * 1024, 1024 * 1024]) {
      for (let round = 0; round < 20; round++) {
        const { client, target } = await pairThrough(relay, server);
        const all = within("the stream", target.readAll());
        await sendUrgent(client, before, 1_000);
        expect((await all).length).toBe(before + 1 + 1_000);
      }
    }
  });
});

/** `before` bytes, an urgent one, `after` more and a FIN, by blocking system calls so that they come in one go. */
async function sendUrgent(client: Wire, before: number, after: number): Promise<void> {
  const { libc } = await import("../../src/ffi/libc.ts");
  const { setBlocking } = await import("../../src/engine/linux/sockets.ts");
  const fd = (client.socket as unknown as { _handle: { fd: number } })._handle.fd;
  const bytes = Buffer.alloc(16 * 1024, "b");
  setBlocking(fd, false);
  for (let left = before; left > 0;) {
    const sent = libc.send(fd, bytes, Math.min(left, bytes.length), 0);
    if (sent > 0) left -= sent;
    else await new Promise(setImmediate);
  }
  const MSG_OOB = 1;
  while (libc.send(fd, Buffer.from("u"), 1, MSG_OOB) < 0) await new Promise(setImmediate);
  while (libc.send(fd, bytes, after, 0) < 0) await new Promise(setImmediate);
  client.end();
}
