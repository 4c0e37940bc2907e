// What the access log says of requests through a proxy: also of those that no exchange was made for, since their codec refused
// them, and how many bytes went to the client.

import { describe, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

import * as C from "../../../../src/protocols/http/h2/constants.ts";
import { temporaryFolder } from "../../../support/daemon.ts";
import { HttpProxy, Talk } from "../../../support/http-proxy.ts";
import { until } from "../../../support/until.ts";
import { WireServer } from "../../../support/wire.ts";
import { Peer, settings, SETTINGS_ACK } from "../h2/frames.ts";

type Line = Record<string, unknown>;

/** @returns the lines of the log once there are so many. */
async function logged(
  keys: Readonly<Record<string, unknown>>,
  count: number,
  ask: (proxy: HttpProxy) => Promise<void>,
): Promise<Line[]> {
  const folder = temporaryFolder();
  const path = join(folder, "access.log");
  const lines = (): string[] => readFileSync(path, "utf8").split("\n").slice(0, -1);
  await using proxy = await HttpProxy.start(keys, { file: { access_log: path } });
  await ask(proxy);
  await until("the lines are there", () => lines().length >= count);
  const all = lines().map((line) => JSON.parse(line) as Line);
  rmSync(folder, { recursive: true });
  expect(all).toHaveLength(count);
  return all;
}

/** Of one connection that says this. */
async function saying(
  text: string,
  keys: Readonly<Record<string, unknown>> = { target: "127.0.0.1:1" },
): Promise<Line> {
  const [line] = await logged(keys, 1, async (proxy) => {
    const talk = await proxy.connect();
    await talk.say(text);
    await talk.rest();
  });
  return line!;
}

const SHORT = { target: "127.0.0.1:1", timeouts: { head: "200ms" }, limits: { min_rate: 0 } };

describe("a request that HTTP/1.1 refuses", () => {
  test("is there with what was understood of it, its status and why", async () => {
    const line = await saying("GET /path?q HTTP/1.1\r\nHost: a.example\r\nHost: b\r\n\r\n");
    expect(line).toMatchObject({
      client: "127.0.0.1",
      method: "GET",
      host: "a.example",
      path: "/path?q",
      protocol: "HTTP/1.1",
      status: 400,
      bytes_out: "Bad Request\n".length,
      failure: expect.stringMatching(/^http_malformed: .*Host came twice$/),
    });
  });

  test("may be no request at all", async () => {
    const line = await saying("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n");
    expect(line).toMatchObject({ method: "", host: "", path: "", status: 400 });
  });

  test("may have come in pieces, and not whole in time", async () => {
    const line = await saying("GET /late HTTP/1.1\r\nHost: a.ex", SHORT);
    expect(line).toMatchObject({ method: "GET", path: "/late", host: "", status: 408 });
    expect(line.failure).toStartWith("http_head_timeout: ");
  });

  test("may be too large", async () => {
    const keys = { target: "127.0.0.1:1", limits: { max_head: "1KB" } };
    const line = await saying(`GET /large HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(2_000)}`, keys);
    expect(line).toMatchObject({ path: "/large", status: 431 });
    expect(line.failure).toStartWith("http_head_too_large: ");
  });

  test("may be refused for its body", async () => {
    await using backend = await WireServer.listen();
    const line = await saying(
      "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnope\r\n",
      { target: backend.target },
    );
    expect(line).toMatchObject({ method: "POST", path: "/body", status: 400 });
  });
});

describe("a request that routes refuse", () => {
  for (const [method, status] of [
    ["TRACE", 405],
    ["GET", 404],
  ] as const) {
    test(`with ${status} says why, and is not counted as malformed`, async () => {
      const routes = [{ match: { path: "/here" }, target: "127.0.0.1:1" }];
      const [line] = await logged({ routes }, 1, async (proxy) => {
        const path = method === "TRACE" ? "/here" : "/there";
        expect(await proxy.ask(`${method} ${path} HTTP/1.1`)).toStartWith(`HTTP/1.1 ${status} `);
        expect(proxy.stats.refused.http_malformed).toBe(0);
        expect(proxy.stats.refused.no_route).toBe(1);
      });
      expect(line).toMatchObject({ status, failure: "no_route: a.example" });
    });
  }
});

test("a request that HTTP/2 refuses is there, too, with the status that HTTP/1.1 has for it", async () => {
  const [line] = await logged({ target: "127.0.0.1:1" }, 1, async (proxy) => {
    const talk = await proxy.connect();
    const peer = new Peer();
    const head = peer.headers(1, [
      [":method", "GET"],
      [":scheme", "http"],
      [":authority", "a.example"],
      [":path", "/path"],
      ["connection", "close"],
    ]);
    await talk.wire.write(Buffer.concat([C.PREFACE, settings(), SETTINGS_ACK, head]));
    await until("the answer", () => talk.heard.length > 20);
    talk.wire.destroy();
  });
  expect(line).toMatchObject({
    method: "GET",
    host: "a.example",
    path: "/path",
    protocol: "HTTP/2.0",
    status: 400,
    failure: expect.stringMatching(/^http_malformed: .*connection$/),
  });
});

test("requests that are refused count as requests that were answered here", async () => {
  await using proxy = await HttpProxy.start({ target: "127.0.0.1:1" });
  const talk = await proxy.connect();
  await talk.say("GET / HTTP/1.1\r\n\r\n");
  await talk.rest();
  const { http } = proxy.stats;
  expect(http).toMatchObject({ requests: 1 });
  expect(proxy.stats.refused.http_malformed).toBe(1);
});

test("bytes are those that went to the client, and not those before compression", async () => {
  await using backend = await WireServer.listen();
  const body = "Something that compresses well. ".repeat(1_000);
  let size = 0;
  const [line] = await logged({ target: backend.target, compress: true }, 1, async (proxy) => {
    const answer = proxy.ask("GET / HTTP/1.1\r\naccept-encoding: gzip");
    const side = await Talk.accept(backend);
    await side.head();
    const head = `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${body.length}`;
    await side.say(`${head}\r\n\r\n${body}`);
    const [, chunks] = (await answer).split("\r\n\r\n", 2) as [string, string];
    const compressed = unchunk(Buffer.from(chunks, "latin1"));
    expect(gunzipSync(compressed).toString()).toBe(body);
    size = compressed.length;
  });
  expect(size).toBeLessThan(body.length / 10);
  expect(line).toMatchObject({ bytes_out: size });
});

/** The contents of a chunked body. */
function unchunk(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const end = bytes.indexOf("\r\n", at);
    const length = Number.parseInt(bytes.toString("latin1", at, end), 16);
    if (!(length > 0)) return Buffer.concat(parts);
    parts.push(bytes.subarray(end + 2, end + 2 + length));
    at = end + 2 + length + 2;
  }
}
