// A client's connection (src/protocols/http/h2/server.ts) with clients that no one here wrote: curl, nghttp, h2load, Node's
// http2.

import { expect } from "bun:test";
import { join } from "node:path";

import type { RequestTaker } from "../../../../src/protocols/http/exchange.ts";
import { streamBytes } from "../../../support/bytes.ts";
import { inFolder, run } from "../../../support/daemon.ts";
import { H2TestServer } from "../../../support/h2-server.ts";
import { download, echo, hello } from "../../../support/h2-takers.ts";
import { program, testWith } from "../../../support/programs.ts";
import { until } from "../../../support/until.ts";

testWith(
  ["curl"],
  "curl gets an answer, uploads with 100-continue and downloads by prior knowledge",
  async () => {
    using small = new H2TestServer(hello);
    using upload = new H2TestServer(echo);
    using files = new H2TestServer(download);
    const curl = [program("curl"), "-sS", "--http2-prior-knowledge", "--max-time", "30"];
    const plain = await run([...curl, "-i", `http://127.0.0.1:${small.port}/`]);
    expect(plain.stdout).toStartWith("HTTP/2 200");
    expect(plain.stdout).toEndWith("hello, world\n");
    const head = await run([...curl, "-I", `http://127.0.0.1:${small.port}/`]);
    expect(head.stdout).toContain("content-length: 13");
    await inFolder(async (folder) => {
      const path = join(folder, "body");
      await Bun.write(path, streamBytes(1, 0, 1_000_000));
      const url = `http://127.0.0.1:${upload.port}/`;
      await run([
        ...curl,
        "-H",
        "Expect: 100-continue",
        "--data-binary",
        `@${path}`,
        "-o",
        `${path}.back`,
        url,
      ]);
      expect(await Bun.file(`${path}.back`).bytes()).toEqual(
        new Uint8Array(streamBytes(1, 0, 1_000_000)),
      );
      await run([...curl, "-o", `${path}.down`, `http://127.0.0.1:${files.port}/1000000?7`]);
      expect(await Bun.file(`${path}.down`).bytes()).toEqual(
        new Uint8Array(streamBytes(7, 0, 1_000_000)),
      );
    });
  },
);

testWith(["nghttp"], "nghttp sends padding, priorities, trailers and many streams", async () => {
  using server = new H2TestServer(echo);
  await inFolder(async (folder) => {
    const path = join(folder, "body");
    await Bun.write(path, streamBytes(2, 0, 200_000));
    const url = `http://127.0.0.1:${server.port}/`;
    const flags = ["-v", "-n", "-m", "20", "-b", "64", "--trailer", "x-sum: 7", "-d", path];
    const { stdout } = await run([program("nghttp"), ...flags, url]);
    expect(stdout.match(/recv \(stream_id=\d+\) :status: 200/g)?.length).toBe(20);
    expect(stdout.match(/recv \(stream_id=\d+\) x-sum: 7/g)?.length).toBe(20);
    expect(stdout).not.toContain("RST_STREAM");
    expect(stdout).not.toMatch(/recv GOAWAY/);
  });
});

testWith(
  ["h2load"],
  "h2load finishes every request of small answers, and of large ones in small windows",
  async () => {
    using small = new H2TestServer(hello);
    using large = new H2TestServer(download);
    for (const [url, ...flags] of [
      [`http://127.0.0.1:${small.port}/`, "-n", "10000", "-c", "8", "-m", "32"],
      [
        `http://127.0.0.1:${large.port}/300000?3`,
        "-n",
        "200",
        "-c",
        "4",
        "-m",
        "10",
        "-w",
        "14",
        "-W",
        "16",
      ],
    ] as const) {
      const count = flags[1];
      const { stdout } = await run([program("h2load"), ...flags, url]);
      expect(stdout).toContain(`${count} succeeded, 0 failed, 0 errored, 0 timeout`);
      expect(stdout).toContain(`${count} 2xx`);
    }
  },
);

const NODE_CLIENT = `
const http2 = require("node:http2");
const client = http2.connect("http://127.0.0.1:" + process.argv[1]);
const out = {};
const ask = (head, body, trailers) => new Promise((resolve, reject) => {
  const options = trailers ? { waitForTrailers: true } : {};
  const stream = client.request(head, options);
  const got = { body: 0, informational: [] };
  if (trailers) stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.on("headers", (head) => got.informational.push(head[":status"]));
  stream.on("response", (head) => (got.status = head[":status"]));
  stream.on("trailers", (head) => (got.trailers = head["x-sum"]));
  stream.on("data", (bytes) => { got.body += bytes.length; });
  stream.on("error", reject);
  stream.on("close", () => resolve(got));
  if (body) stream.end(body);
});
client.on("remoteSettings", async (settings) => {
  if (out.settings) return;
  out.settings = settings.enableConnectProtocol;
  out.echo = await ask({ ":method": "POST", ":path": "/" }, Buffer.alloc(3e6), { "x-sum": "7" });
  const tunnel = client.request({ ":method": "CONNECT", ":protocol": "websocket", ":path": "/", ":authority": "a" });
  tunnel.write("ping");
  tunnel.once("data", (bytes) => { out.tunnel = bytes.toString(); tunnel.end(); });
  tunnel.on("close", () => { client.close(); console.log(JSON.stringify(out)); });
});
`;

testWith(
  ["node"],
  "Node's client echoes three megabytes with trailers, and opens a tunnel by extended CONNECT",
  async () => {
    using server = new H2TestServer(echo);
    const { stdout } = await run([program("node"), "-e", NODE_CLIENT, String(server.port)]);
    expect(JSON.parse(stdout)).toEqual({
      settings: true,
      echo: { status: 200, body: 3_000_000, informational: [], trailers: "7" },
      tunnel: "ping",
    });
  },
);

testWith(
  ["curl"],
  "a download that stalls holds what its window and the wire hold, and goes on",
  async () => {
    let sent = 0;
    const taker: RequestTaker = (each, head) => {
      download(each, head);
      const { sendBody } = each;
      each.sendBody = (bytes) => {
        sent += bytes.length;
        return sendBody.call(each, bytes);
      };
    };
    using server = new H2TestServer(taker);
    await using child = Bun.spawn(
      [
        program("curl"),
        "-sS",
        "--http2-prior-knowledge",
        `http://127.0.0.1:${server.port}/100000000?1`,
      ],
      { stdout: "pipe" },
    );
    await until("the download begins", () => sent > 0);
    child.kill("SIGSTOP"); // a client that only leaves its output unread still takes what pipes hold
    let before = -1;
    let alike = 0;
    await until("it stalls", () => {
      alike = before === sent ? alike + 1 : 0;
      before = sent;
      return sent > 0 && alike === 20;
    });
    expect(sent).toBeLessThan(80_000_000); // curl's window is 10 MB, older ones had 32 MB
    child.kill("SIGCONT");
    let received = 0;
    for await (const bytes of child.stdout) received += bytes.length;
    expect(received).toBe(100_000_000);
  },
);
