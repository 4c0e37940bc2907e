// A connection to a backend (src/protocols/http/h2/client.ts) with servers that no one here wrote: nghttpd and Node's http2, and
// with our own.

import { expect, test } from "bun:test";
import { join } from "node:path";

import { streamBytes, StreamCheck } from "../../../support/bytes.ts";
import { Daemon } from "../../../support/daemon.ts";
import { H2TestClient } from "../../../support/h2-client.ts";
import { H2TestServer } from "../../../support/h2-server.ts";
import { download, echo } from "../../../support/h2-takers.ts";
import { program, testWith } from "../../../support/programs.ts";
import { until } from "../../../support/until.ts";

testWith(["nghttpd"], "nghttpd serves files, many at once, and echoes uploads", async () => {
  await using server = await Daemon.start(async (folder, port) => {
    await Bun.write(join(folder, "file"), streamBytes(1, 0, 1_000_000));
    return [
      program("nghttpd"),
      "--no-tls",
      "-d",
      folder,
      "--echo-upload",
      "--trailer=x-sum: 7",
      String(port),
    ];
  });
  using client = await H2TestClient.connect(server.port);
  const files = await Promise.all(
    Array.from({ length: 50 }, () => client.ask({ path: "/file" }).over),
  );
  for (const { status, failure, body, trailers } of files) {
    expect([status, failure, trailers]).toEqual([200, null, [["x-sum", "7"]]]);
    const check = new StreamCheck(1);
    body.forEach((bytes) => check.take(bytes));
    expect(check.received).toBe(1_000_000);
  }
  const asked = client.ask({ method: "POST", path: "/file", body: streamBytes(2, 0, 500_000) });
  await asked.over;
  expect(Buffer.concat(asked.body).equals(streamBytes(2, 0, 500_000))).toBe(true);
  const missing = await client.ask({ path: "/missing" }).over;
  expect(missing.status).toBe(404);
  expect(client.backend.active).toBe(0);
});

const NODE_SERVER = `
const http2 = require("node:http2");
const server = http2.createServer({ settings: { maxConcurrentStreams: 7, enableConnectProtocol: true } });
server.on("stream", (stream, head) => {
  const path = head[":path"];
  stream.on("error", () => {});
  if (path === "/informational") {
    stream.additionalHeaders({ ":status": 103, link: "</a>" });
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "7" }));
    stream.end("body");
  } else if (path === "/refuse") stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
  else if (path === "/goaway") stream.session.goaway(0, stream.id - 2);
  else if (path === "/abort") stream.session.destroy();
  else { stream.respond({ ":status": 200, "set-cookie": ["a=1", "b=2"] }); stream.pipe(stream); }
});
server.listen(Number(process.argv[1]), "127.0.0.1");
`;

testWith(
  ["node"],
  "Node's server: settings, 1xx, trailers, tunnels, refusals, GOAWAY and a connection that breaks",
  async () => {
    await using server = await Daemon.start((_folder, port) => [
      program("node"),
      "-e",
      NODE_SERVER,
      String(port),
    ]);
    using client = await H2TestClient.connect(server.port);
    expect([client.backend.free, client.backend.takesUpgrades]).toEqual([7, true]);
    const informational = await client.ask({ path: "/informational" }).over;
    expect([informational.informational, informational.text, informational.trailers]).toEqual([
      [103],
      "body",
      [["x-sum", "7"]],
    ]);
    const echoed = await client.ask({ method: "POST", body: streamBytes(3, 0, 300_000) }).over;
    expect(Buffer.concat(echoed.body).equals(streamBytes(3, 0, 300_000))).toBe(true);
    expect(echoed.entries.filter(([name]) => name === "set-cookie")).toEqual([
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ]);
    const tunnel = client.ask({ upgrade: "websocket", body: null });
    tunnel.stream.sendBody(new TextEncoder().encode("ping"));
    await until("the tunnel answers", () => tunnel.text === "ping");
    expect(tunnel.status).toBe(101);
    tunnel.stream.sendEnd(null);
    await tunnel.over;
    expect((await client.ask({ path: "/refuse" }).over).failure?.unprocessed).toBe(true);
    expect((await client.ask({ path: "/goaway" }).over).failure?.unprocessed).toBe(true);
    expect(client.backend.closing).toBe(true);
    using second = await H2TestClient.connect(server.port);
    const broken = await second.ask({ path: "/abort" }).over;
    expect(broken.failure?.unprocessed).toBe(false);
    await second.gone;
  },
);

test("a download that stalls holds its window, and is whole when it goes on", async () => {
  using server = new H2TestServer(download);
  using client = await H2TestClient.connect(server.port);
  const stalled = client.ask({ path: "/3000000?4", stalled: true });
  const other = await client.ask({ path: "/3000000?5" }).over;
  expect([other.received, stalled.received]).toEqual([3_000_000, 0]);
  stalled.stream.resume();
  await stalled.over;
  const check = new StreamCheck(4);
  stalled.body.forEach((bytes) => check.take(bytes));
  expect(check.received).toBe(3_000_000);
});

test("an upload is told to stop by its server's window, and drains", async () => {
  using server = new H2TestServer(echo);
  using client = await H2TestClient.connect(server.port);
  const asked = client.ask({ method: "POST", body: null, stalled: true });
  let sent = 0;
  const part = (): Uint8Array => streamBytes(6, sent, 10_000);
  while (asked.stream.sendBody(part())) sent += 10_000;
  sent += 10_000;
  asked.stream.resume();
  for (let drains = 0; sent < 2_000_000; drains = asked.drains) {
    await until("it drains", () => asked.drains > drains);
    while (sent < 2_000_000) {
      const goesOn = asked.stream.sendBody(part());
      sent += 10_000;
      if (!goesOn) break;
    }
  }
  asked.stream.sendEnd(null);
  await asked.over;
  const check = new StreamCheck(6);
  asked.body.forEach((bytes) => check.take(bytes));
  expect(check.received).toBe(sent);
});
