// Gateway workers as the control plane keeps them: beside relay workers or alone, sharing a port, and back after a crash.

import { expect, test } from "bun:test";

import { Proxy } from "../../../src/control/proxy.ts";
import { freePort } from "../../support/daemon.ts";
import { LogLines } from "../../support/log-lines.ts";
import { listenerPlan } from "../../support/plan.ts";
import { findSockets, optionOf } from "../../support/socket-options.ts";
import { Threads } from "../../support/threads.ts";
import { Datagrams, planOf, type UdpAddress, udpPlan, UdpRelay } from "../../support/udp.ts";
import { until, within } from "../../support/until.ts";
import { Wire, WireServer } from "../../support/wire.ts";

const addressOf = (proxy: Proxy, listener = 0): UdpAddress =>
  proxy.listeners()[listener]!.bound[0] as { kind: "ip" } & UdpAddress;

test("TCP and UDP share a port of one proxy, each with workers of its own", async () => {
  await using udpTarget = await Datagrams.echo();
  await using tcpTarget = await WireServer.echo();
  const port = await freePort();
  const listen = `127.0.0.1:${port}`;
  const plan = planOf(
    [
      listenerPlan({ listen, target: tcpTarget.target }),
      udpPlan({ listen, targets: [udpTarget.target] }),
    ],
    { workers: 2 },
  );
  await using proxy = await Proxy.start(plan);
  expect(proxy.listeners().map(({ workers }) => workers)).toEqual([
    [0, 1],
    [2, 3],
  ]);
  expect(proxy.engine).not.toBeNull();
  await using client = await Datagrams.open();
  expect((await client.ask("over UDP", { host: "127.0.0.1", port })).data.toString()).toBe(
    "over UDP",
  );
  const wire = await Wire.connect({ host: "127.0.0.1", port });
  await wire.write("over TCP");
  expect(await wire.readBytes(8)).toBe("over TCP");
  const listeners = proxy.connections().map(({ listener }) => listener);
  expect(listeners.toSorted()).toEqual([`tcp ${listen}`, `udp ${listen}`]);
  wire.reset();
});

test("a proxy of UDP alone starts no engine", async () => {
  await using target = await Datagrams.echo();
  await using relay = await UdpRelay.start({ targets: [target.target] }, { workers: 2 });
  expect(relay.proxy.engine).toBeNull();
  expect(relay.proxy.listeners()[0]!.workers).toEqual([0, 1]);
});

test("several workers share a port, and each client stays with one of them", async () => {
  await using target = await Datagrams.echo();
  await using relay = await UdpRelay.start({ targets: [target.target] }, { workers: 3 });
  const clients = await Promise.all(Array.from({ length: 60 }, () => Datagrams.open()));
  for (let round = 0; round < 3; round++) {
    for (const client of clients) {
      expect((await client.ask(`${round}`, relay.address)).data.toString()).toBe(`${round}`);
    }
  }
  expect(relay.stats).toMatchObject({ total: 60, active: 60, datagramsUp: 180 });
  expect(new Set(relay.proxy.connections().map(({ worker }) => worker)).size).toBe(3);
  await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
});

for (const workers of [1, 2]) {
  test(`an address that is taken is an error that names it (${workers} workers)`, async () => {
    await using holder = await Datagrams.open();
    const starting = UdpRelay.start(
      { listen: holder.target, targets: ["127.0.0.1:9"] },
      { workers },
    );
    await expect(starting).rejects.toMatchObject({
      code: "ERR_LISTEN",
      message: expect.stringContaining(`cannot listen on ${holder.target}: the address is in use`),
    });
  });

  test(`a second proxy does not share the port of the first (${workers} workers)`, async () => {
    await using relay = await UdpRelay.start({ targets: ["127.0.0.1:9"] }, { workers });
    const listen = `127.0.0.1:${relay.bound.port}`;
    const second = UdpRelay.start({ listen, targets: ["127.0.0.1:9"] }, { workers });
    await expect(second).rejects.toMatchObject({ code: "ERR_LISTEN" });
  });
}

test("a worker that crashes is replaced, on the same port, and its counters stay right", async () => {
  using threads = new Threads();
  const lines = new LogLines();
  await using target = await Datagrams.echo();
  await using relay = await UdpRelay.start({ targets: [target.target], maxSessions: 2 }, lines);
  const { address } = relay;
  await using client = await Datagrams.open();
  await client.ask("before", address);
  expect(relay.stats).toMatchObject({ total: 1, active: 1 });
  threads.crash(threads.all[0]!);
  await until("the crash is counted", () => relay.proxy.stats().workerRestarts === 1);
  await until("the worker is back", () => lines.of("worker is back").length === 1);
  expect(addressOf(relay.proxy)).toEqual(expect.objectContaining(address));
  expect((await client.ask("after", address)).data.toString()).toBe("after");
  expect(relay.stats).toMatchObject({ total: 2, active: 1, datagramsUp: 2 });
  // The sessions of the old worker do not count against the limit any more.
  await using other = await Datagrams.open();
  expect((await other.ask("second", address)).data.toString()).toBe("second");
});

test("while one of several workers is coming back, the others serve", async () => {
  using threads = new Threads();
  const lines = new LogLines();
  await using target = await Datagrams.echo();
  await using relay = await UdpRelay.start({ targets: [target.target] }, { ...lines, workers: 2 });
  threads.crash(threads.all[0]!);
  await until("the crash is seen", () => relay.proxy.stats().workerRestarts === 1);
  for (let i = 0; i < 20; i++) {
    await using client = await Datagrams.open();
    await until("it is served", async () => {
      await client.send("ping", relay.address);
      return client.received.length > 0;
    });
  }
  await until("the worker is back", () => lines.of("worker is back").length === 1);
  expect(relay.proxy.listeners()[0]!.workers).toEqual([0, 1]);
});

test("an end at once, with traffic under way, leaves no thread", async () => {
  using threads = new Threads();
  await using target = await Datagrams.echo();
  await using relay = await UdpRelay.start({ targets: [target.target] }, { workers: 2 });
  await using client = await Datagrams.open();
  await client.ask("there", relay.address);
  for (let i = 0; i < 50; i++) void client.send("traffic", relay.address);
  await within("the end", relay.proxy.kill(), 3_000);
  expect(threads.alive).toBe(0);
});

const onLinux = process.platform === "linux" ? test : test.skip;

onLinux("socket buffers are set, and what the system cuts is a warning", async () => {
  const lines = new LogLines();
  await using target = await Datagrams.echo();
  const sizes = { sendBufferBytes: 8 * 1024, receiveBufferBytes: 256 * 1024 * 1024 };
  await using relay = await UdpRelay.start({ targets: [target.target], socket: sizes }, lines);
  await using client = await Datagrams.open();
  expect((await client.ask("small", relay.address)).data.toString()).toBe("small");
  const [listener] = findSockets(({ local, remote }) => local === relay.bound.port && remote === 0);
  const [session] = findSockets(({ remote }) => remote === target.address.port);
  // The system doubles them for its own bookkeeping (socket(7)).
  expect(optionOf(listener!, "sendBuffer")).toBe(2 * sizes.sendBufferBytes);
  expect(optionOf(session!, "sendBuffer")).toBe(2 * sizes.sendBufferBytes);
  const warnings = lines.lines.filter(({ level }) => level === "warn");
  expect(warnings.map(({ message }) => message)).toEqual([
    expect.stringContaining("receive_buffer 268435456 is cut to"),
  ]);
});
