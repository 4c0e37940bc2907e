// Limits of bandwidth on listeners of TLS and of HTTP: the rate holds over all their clients, and no byte is lost or doubled.

import { afterAll, expect, test } from "bun:test";

import { Authority } from "../support/certificates.ts";
import { HttpProxy, Talk } from "../support/http-proxy.ts";
import { TlsRelay } from "../support/tls-relay.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const authority = new Authority();
const OWN = authority.issue(["a.example"]);
afterAll(() => authority[Symbol.dispose]());

const MIB = 1024 * 1024;
/** What may go at once. */
const BURST_SECONDS = 0.1;

async function secondsOf(use: () => Promise<void>): Promise<number> {
  const begin = performance.now();
  await use();
  return (performance.now() - begin) / 1_000;
}

for (const workers of [1, 2]) {
  test(`a listener of TLS keeps to its rate over all clients and ${workers} workers`, async () => {
    const bytesPerSecond = 4 * MIB;
    await using target = await WireServer.listen();
    const options = { certificates: [OWN], target: target.target, bytesPerSecond, workers };
    await using relay = await TlsRelay.start(options);
    const clients = await Promise.all([0, 1, 2].map(() => relay.connect({ ca: authority.ca })));
    const fars = await Promise.all(clients.map(() => within("a target", target.accept())));
    const each = MIB;
    for (const far of fars) far.onData(() => {});
    const seconds = await secondsOf(async () => {
      for (const { wire } of clients) void wire.sendStream(1, each);
      await until("all streams", () => fars.every((far) => far.received === each), 20_000);
    });
    expect(seconds).toBeGreaterThanOrEqual((3 * each) / bytesPerSecond - BURST_SECONDS);
    for (const { socket } of clients) socket.destroy();
    for (const far of fars) far.reset();
  });
}

test("a client of HTTP gets its answer at its rate, whole, and another is not held up by it", async () => {
  await using target = await WireServer.listen();
  const limits = { connection_bandwidth: "2MB/s" };
  await using proxy = await HttpProxy.start({ target: `http://${target.target}`, limits });
  const length = MIB;
  const body = "x".repeat(length);
  const slow = await proxy.connect();
  await slow.say("GET /large HTTP/1.1\r\nhost: a.example\r\n\r\n");
  const far = await Talk.accept(target);
  await far.head();
  const seconds = await secondsOf(async () => {
    void far.say(`HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n${body}`);
    const other = await proxy.connect();
    await other.say("GET /small HTTP/1.1\r\nhost: a.example\r\n\r\n");
    const second = await Talk.accept(target);
    await second.head();
    await second.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    expect(await other.hear("\r\n\r\nok")).toContain("200");
    expect(slow.heard.length).toBeLessThan(length);
    await slow.hear(body);
  });
  expect(seconds).toBeGreaterThanOrEqual(length / (2 * MIB) - BURST_SECONDS);
});

test("a request's body is read at the listener's rate", async () => {
  await using target = await WireServer.listen();
  const limits = { bandwidth: "2MB/s" };
  await using proxy = await HttpProxy.start({ target: `http://${target.target}`, limits });
  const length = MIB;
  const client = await proxy.connect();
  const seconds = await secondsOf(async () => {
    void client.say(`PUT / HTTP/1.1\r\nhost: a.example\r\ncontent-length: ${length}\r\n\r\n`);
    void client.say("x".repeat(length));
    const far = await Talk.accept(target);
    await far.head();
    await until("the body", () => far.heard.length === length, 20_000);
    await far.say("HTTP/1.1 204 No Content\r\n\r\n");
    await client.head();
  });
  expect(seconds).toBeGreaterThanOrEqual(length / (2 * MIB) - BURST_SECONDS);
});
