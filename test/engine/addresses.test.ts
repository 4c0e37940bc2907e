// Where a relay listens and forwards to: IPv4, IPv6, every address, unix sockets, and the table of live connections that
// names them.

import { expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";

import { inFolder } from "../support/daemon.ts";
import { forEveryEngine } from "../support/engines.ts";
import { Relay } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { Wire, type WireAddress, WireServer } from "../support/wire.ts";

const HAS_IPV6 = Object.values(networkInterfaces()).some((list) =>
  list?.some((entry) => entry.address === "::1"),
);

/** Containers often have no IPv6 at all: said, not counted as skipped, since nothing could be installed for it. */
if (!HAS_IPV6) process.stderr.write("IPv6 is not tested: this machine has no ::1\n");

async function echoes(address: WireAddress, text: string): Promise<Wire> {
  const client = await Wire.connect(address);
  await client.write(text);
  expect(await within("the echo", client.readBytes(text.length))).toBe(text);
  return client;
}

forEveryEngine((engine) => {
  test("IPv6 on both sides", async () => {
    if (!HAS_IPV6) return;
    await using server = await WireServer.echo({ host: "::1" });
    await using relay = await Relay.start(engine, { listen: "[::1]:0", target: server.target });
    const client = await echoes(relay.address, "over IPv6");
    await until("all is counted", () => relay.proxy.connections()[0]?.bytesDown === 9);
    const [row] = relay.proxy.connections();
    expect(row).toMatchObject({
      client: `[::1]:${client.socket.localPort}`,
      target: server.target,
      bytesUp: 9,
      bytesDown: 9,
    });
  });

  test("a port alone listens on both families, and IPv4 clients show as IPv4", async () => {
    if (!HAS_IPV6) return;
    await using server = await WireServer.echo();
    await using relay = await Relay.start(engine, { listen: ":0", target: server.target });
    if (relay.bound.kind !== "ip") throw new Error("not an IP address");
    const { port } = relay.bound;
    const v4 = await echoes({ host: "127.0.0.1", port }, "four");
    const v6 = await echoes({ host: "::1", port }, "six");
    const clients = relay.proxy.connections().map((row) => row.client);
    expect(clients.toSorted()).toEqual(
      [`127.0.0.1:${v4.socket.localPort}`, `[::1]:${v6.socket.localPort}`].toSorted(),
    );
  });

  test("an address in brackets is IPv6 alone", async () => {
    if (!HAS_IPV6) return;
    await using server = await WireServer.echo();
    await using relay = await Relay.start(engine, { listen: "[::]:0", target: server.target });
    if (relay.bound.kind !== "ip") throw new Error("not an IP address");
    const { port } = relay.bound;
    await echoes({ host: "::1", port }, "six");
    expect(Wire.connect({ host: "127.0.0.1", port })).rejects.toMatchObject({
      code: "ECONNREFUSED",
    });
  });

  test("an IPv4 listener and an IPv6 target, and the other way round", async () => {
    if (!HAS_IPV6) return;
    await using six = await WireServer.echo({ host: "::1" });
    await using toSix = await Relay.start(engine, { target: six.target });
    await echoes(toSix.address, "4 to 6");
    await using four = await WireServer.echo();
    await using toFour = await Relay.start(engine, { listen: "[::1]:0", target: four.target });
    await echoes(toFour.address, "6 to 4");
  });

  test("unix sockets on both sides, with half-close; the file is gone afterwards", () =>
    inFolder(async (folder) => {
      const listen = `${folder}/listen.sock`;
      await using server = await WireServer.listen(undefined, { path: `${folder}/target.sock` });
      const relay = await Relay.start(engine, { listen: `unix:${listen}`, target: server.target });
      try {
        const client = await Wire.connect({ path: listen });
        await client.write("question");
        client.end();
        const target = await within("the target", server.accept());
        expect(await within("the question ends", target.readAll())).toBe("question");
        expect(relay.proxy.connections()[0]).toMatchObject({ client: "unix:", target: "unix:" });
        await target.write("answer");
        target.end();
        expect(await within("the answer ends", client.readAll())).toBe("answer");
        await until("the row is free", () => relay.proxy.connections().length === 0);
      } finally {
        await relay.proxy.kill();
      }
      expect(existsSync(listen)).toBe(false);
    }));

  test("bytes that a unix client sent before it closed arrive", () =>
    inFolder(async (folder) => {
      await using server = await WireServer.listen(undefined, { path: `${folder}/t` });
      await using relay = await Relay.start(engine, {
        listen: `unix:${folder}/l`,
        target: server.target,
      });
      for (let i = 0; i < 30; i++) {
        const client = await relay.connect();
        await client.write("x".repeat(50_000));
        client.destroy();
        const target = await within("the target", server.accept());
        expect((await within("the bytes", target.readAll())).length).toBe(50_000);
        target.end();
      }
      await until("no row is left", () => relay.proxy.connections().length === 0);
    }));

  test("several workers serve one unix socket", () =>
    inFolder(async (folder) => {
      await using server = await WireServer.echo();
      await using relay = await Relay.start(
        engine,
        { listen: `unix:${folder}/l`, target: server.target },
        { workers: 2 },
      );
      for (let i = 0; i < 20; i++) (await echoes(relay.address, `number ${i}`)).reset();
      await until("no row is left", () => relay.proxy.connections().length === 0);
    }));

  test("a stale unix socket file is replaced", () =>
    inFolder(async (folder) => {
      const path = `${folder}/stale.sock`;
      const owner = Bun.spawn([
        process.execPath,
        "-e",
        `Bun.listen({ unix: ${JSON.stringify(path)}, socket: { data() {} } })`,
      ]);
      await until("the first owner listens", () => existsSync(path));
      owner.kill("SIGKILL");
      await owner.exited;
      expect(existsSync(path)).toBe(true);
      await using server = await WireServer.echo();
      await using relay = await Relay.start(engine, {
        listen: `unix:${path}`,
        target: server.target,
      });
      await echoes(relay.address, "replaced");
    }));

  test("a unix socket that answers is not taken, nor a file that is no socket", () =>
    inFolder(async (folder) => {
      const path = `${folder}/live.sock`;
      await using server = await WireServer.echo({ path });
      const codeOf = (listen: string): Promise<string> =>
        Relay.start(engine, { listen, target: "127.0.0.1:1" }).then(
          () => "opened",
          (error: { code: string }) => error.code,
        );
      expect(await codeOf(`unix:${path}`)).toBe("ERR_LISTEN");
      await echoes({ path }, "still the first one's");
      expect(server.accepted).toBeGreaterThan(0);
      writeFileSync(`${folder}/file`, "precious");
      expect(await codeOf(`unix:${folder}/file`)).toBe("ERR_LISTEN");
      expect(await Bun.file(`${folder}/file`).text()).toBe("precious");
      expect(await codeOf(`unix:${folder}/no/such/folder.sock`)).toBe("ERR_LISTEN");
    }));
});
