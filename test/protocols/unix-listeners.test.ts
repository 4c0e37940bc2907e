// Listeners of gateways on unix sockets: the rules are those of raw TCP's.

import { afterAll, expect, test } from "bun:test";
import { existsSync, lstatSync, writeFileSync } from "node:fs";
import { connect } from "node:tls";

import { Authority } from "../support/certificates.ts";
import { inFolder } from "../support/daemon.ts";
import { HttpProxy, Talk } from "../support/http-proxy.ts";
import { Relay } from "../support/relay.ts";
import { Service } from "../support/service.ts";
import { TlsRelay } from "../support/tls-relay.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

const authority = new Authority();
const OWN = authority.issue(["a.example"]);
afterAll(() => authority[Symbol.dispose]());

const REQUEST = "GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n";

/** Answers every request with `ok`. */
function startTarget(): Disposable & { readonly address: string } {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("ok") });
  return {
    address: `127.0.0.1:${server.port}`,
    [Symbol.dispose]: () => void server.stop(true),
  };
}

async function expectServed(path: string): Promise<void> {
  const client = new Talk(await Wire.connect({ path }));
  await client.say(REQUEST);
  expect(await within("the answer", client.rest())).toEndWith("\r\n\r\nok");
  client.wire.reset();
}

/** Of a process that was killed. */
async function leaveStale(path: string): Promise<void> {
  const listen = `Bun.listen({ unix: ${JSON.stringify(path)}, socket: { data() {} } })`;
  const owner = Bun.spawn([process.execPath, "-e", listen]);
  await until("it listens", () => existsSync(path));
  owner.kill("SIGKILL");
  await owner.exited;
}

test("a stale file is replaced, several workers share the socket, and its file goes with it", () =>
  inFolder(async (folder) => {
    const path = `${folder}/l`;
    await leaveStale(path);
    using target = startTarget();
    const keys = { listen: `unix:${path}`, target: `http://${target.address}` };
    await using proxy = await HttpProxy.start(keys, { workers: 3 });
    for (let i = 0; i < 5; i++) await expectServed(path);
    expect(proxy.stats.total).toBe(5);
    await proxy.proxy.stop(5_000);
    expect(existsSync(path)).toBe(false);
  }));

test("its file has the mode that raw TCP's has", () =>
  inFolder(async (folder) => {
    const [gateway, relay] = [`${folder}/gateway`, `${folder}/relay`];
    await using _proxy = await HttpProxy.start({ listen: `unix:${gateway}`, target: "http://a:1" });
    await using _relay = await Relay.start("bun", {
      listen: `unix:${relay}`,
      target: "127.0.0.1:1",
    });
    expect(lstatSync(gateway).mode).toBe(lstatSync(relay).mode);
  }));

test("a socket that answers is not taken, nor a file that is no socket", () =>
  inFolder(async (folder) => {
    const path = `${folder}/live`;
    await using _server = await WireServer.echo({ path });
    const codeOf = (listen: string): Promise<string> =>
      HttpProxy.start({ listen, target: "http://127.0.0.1:1" }).then(
        () => "opened",
        (error: { code: string }) => error.code,
      );
    expect(await codeOf(`unix:${path}`)).toBe("ERR_LISTEN");
    writeFileSync(`${folder}/file`, "precious");
    expect(await codeOf(`unix:${folder}/file`)).toBe("ERR_LISTEN");
    expect(await Bun.file(`${folder}/file`).text()).toBe("precious");
  }));

test("TLS is spoken over one", () =>
  inFolder(async (folder) => {
    const path = `${folder}/l`;
    await using target = await WireServer.echo();
    const options = { certificates: [OWN], listen: `unix:${path}`, target: target.target };
    await using relay = await TlsRelay.start(options);
    const socket = connect({ path, servername: "a.example", ca: authority.ca });
    const wire = new Wire(socket);
    await wire.write("hello");
    expect(await within("the echo", wire.readBytes(5))).toBe("hello");
    expect(relay.proxy.connections()).toMatchObject([{ client: "unix:" }]);
    socket.destroy();
    await until("it is gone", () => relay.stats.active === 0);
  }));

test.if(process.platform === "linux")(
  "an upgrade keeps its file, and every client is served",
  () =>
    inFolder(async (folder) => {
      const path = `${folder}/l`;
      using target = startTarget();
      const flags = ["-protocol", "http", "-listen", `unix:${path}`, "-target", target.address];
      await using service = await Service.start(folder, ...flags);
      await expectServed(path);
      const { ino } = lstatSync(path);
      await service.upgrade();
      for (let i = 0; i < 5; i++) await expectServed(path);
      expect(lstatSync(path).ino).toBe(ino);
      expect((await service.stop()).code).toBe(0);
      expect(existsSync(path)).toBe(false);
    }),
  60_000,
);
