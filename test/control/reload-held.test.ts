// Connections that last, over reloads of their neighbour and of their own listener: TLS, calls of gRPC, and WebSockets over
// HTTP/2 notice neither. A client counts once for limits, over all generations.

import { afterAll, expect, test } from "bun:test";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTls } from "node:tls";

import { credentials } from "@grpc/grpc-js";

import { Proxy } from "../../src/control/proxy.ts";
import { Authority } from "../support/certificates.ts";
import { compiledPlan } from "../support/compiled-plan.ts";
import { forEveryEngine } from "../support/engines.ts";
import { collect, EchoClient, startGrpcServer } from "../support/grpc.ts";
import { testWith } from "../support/programs.ts";
import { wireAddress } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";

const authority = new Authority();
const { certFile, keyFile } = authority.issue(["localhost"]);
const TLS = { cert_file: certFile, key_file: keyFile };
afterAll(() => authority[Symbol.dispose]());

type Keys = Readonly<Record<string, unknown>>;

function portOf(proxy: Proxy): number {
  const [bound] = proxy.listeners()[0]!.bound;
  return bound?.kind === "ip" ? bound.port : 0;
}

/** The listener under test, and a neighbour of the same kind; `own` and `other` make them differ. */
function plan(keys: Keys, own: number, other: number) {
  const limits = (more: number): Keys => ({ limits: { max_connections: 100 + more } });
  return compiledPlan([
    { listen: "127.0.0.1:0", ...keys, ...limits(own) },
    { listen: "127.0.0.1:0", ...keys, ...limits(other) },
  ]);
}

/** @param works asks something of the connection, and has its answer. */
async function heldOver(proxy: Proxy, keys: Keys, works: () => Promise<void>): Promise<void> {
  await works();
  for (const [own, other] of [
    [0, 1],
    [0, 2],
    [1, 2],
    [2, 3],
  ] as const) {
    await proxy.reload(plan(keys, own, other));
    await works();
  }
}

test("a connection of TLS goes on", async () => {
  await using server = await WireServer.echo();
  const keys = { name: "tls", target: server.target, tls: TLS };
  await using proxy = await Proxy.start(plan(keys, 0, 0));
  const socket = connectTls({ host: "127.0.0.1", port: portOf(proxy), rejectUnauthorized: false });
  let heard = "";
  let wanted = "";
  socket.on("data", (bytes) => (heard += bytes.toString()));
  await heldOver(proxy, keys, async () => {
    wanted += "ping";
    socket.write("ping");
    await until("the echo", () => heard === wanted);
  });
  socket.destroy();
});

testWith(["node"], "a call of gRPC goes on, message by message", async () => {
  await using server = await startGrpcServer();
  const target = { address: `h2c://127.0.0.1:${server.port}` };
  const keys = { name: "http2", target, tls: TLS };
  await using proxy = await Proxy.start(plan(keys, 0, 0));
  const by = credentials.createSsl(Buffer.from(authority.ca));
  using client = new EchoClient(`localhost:${portOf(proxy)}`, by);
  const call = client.both();
  let received = 0;
  const outcome = collect(call, () => received++);
  let wanted = 0;
  await heldOver(proxy, keys, async () => {
    wanted++;
    call.write(Buffer.from(`message ${wanted}`));
    await until("the echo", () => received === wanted);
  });
  call.end();
  expect((await within("the outcome", outcome)).code).toBe(0);
});

test("a WebSocket over HTTP/2 goes on", async () => {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, self) =>
      self.upgrade(request) ? undefined : new Response("", { status: 400 }),
    websocket: { message: (socket, message) => void socket.send(message) },
  });
  const keys = { name: "http2", target: `127.0.0.1:${server.port}`, tls: TLS };
  await using proxy = await Proxy.start(plan(keys, 0, 0));
  const session = connectHttp2(`https://127.0.0.1:${portOf(proxy)}`, { rejectUnauthorized: false });
  await within("settings", new Promise((resolve) => session.once("remoteSettings", resolve)));
  const stream = session.request({
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":path": "/",
    ":scheme": "https",
    ":authority": "localhost",
    "sec-websocket-version": "13",
  });
  let heard = 0;
  let wanted = 0;
  stream.on("data", (bytes: Buffer) => (heard += bytes.length));
  // A text frame of one byte, masked with zeros (RFC 6455 section 5.2), comes back without its mask.
  const frame = Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x61]);
  await heldOver(proxy, keys, async () => {
    wanted += 3;
    stream.write(frame);
    await until("the echo", () => heard === wanted);
  });
  session.destroy();
  await server.stop(true);
});

forEveryEngine((engine) => {
  test("a client counts once over all generations of a listener", async () => {
    await using server = await WireServer.echo();
    const listener = (more: number): Keys => ({
      name: "tcp",
      listen: "127.0.0.1:0",
      target: server.target,
      limits: { max_per_ip: 3, max_connections: 100 + more },
    });
    const planned = (more: number) => compiledPlan([listener(more)], { engine, workers: 2 });
    await using proxy = await Proxy.start(planned(0));
    const address = wireAddress(proxy.listeners()[0]!.bound[0]!);
    const works = async (wire: Wire): Promise<Wire> => {
      await wire.write("x");
      await within("the echo", wire.readBytes(1));
      return wire;
    };
    const held: Wire[] = [];
    for (let i = 0; i < 3; i++) {
      held.push(await works(await Wire.connect(address)));
      await proxy.reload(planned(i + 1));
    }
    const refused = (): number => Object.values(proxy.stats().listeners)[0]!.refused.max_per_ip;
    const fourth = await Wire.connect(address).catch(() => null);
    await until("the refusal", () => refused() === 1);
    fourth?.reset();
    held.shift()!.reset();
    await until("it is gone", () => proxy.connections().length === 2);
    held.push(await works(await Wire.connect(address)));
    for (const wire of held) await works(wire);
    for (const wire of held) wire.reset();
  });
});
