// A listener of HTTP with clients and backends that speak byte by byte: what the exchange and its parts make of each other, over
// real sockets. What programs make of it is in test/e2e/http.

import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { HttpProxy, Talk } from "../../support/http-proxy.ts";
import { until } from "../../support/until.ts";
import { WireServer } from "../../support/wire.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const GET = "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n";

describe("connections to backends", () => {
  test("serve one request after the other, of every client", async () => {
    await using backend = await WireServer.listen();
    await using proxy = await HttpProxy.start({ target: backend.target });
    const [first, second] = [await proxy.connect(), await proxy.connect()];
    const accepted = Talk.accept(backend);
    for (const client of [first, second, first]) {
      await client.say(GET);
      const side = await accepted;
      await side.head();
      await side.say(OK);
      await client.hear("ok");
    }
    expect(backend.accepted).toBe(1);
    expect(proxy.stats).toMatchObject({ http: { requests: 3, active: 0, reuses: 2 } });
    expect(proxy.stats.targets[0]).toMatchObject({ connects: 1, active: 1 });
  });

  test("that broke while they rested are replaced unseen", async () => {
    await using backend = await WireServer.listen();
    await using proxy = await HttpProxy.start({ target: backend.target });
    const client = await proxy.connect();
    await client.say(GET);
    const side = await Talk.accept(backend);
    await side.head();
    await side.say(OK);
    await client.hear("ok");
    // The request and the end of the connection cross each other.
    side.wire.socket.pause();
    await client.say(GET);
    await until("the request is on its way", () => proxy.stats.http.reuses === 1);
    side.wire.reset();
    const fresh = await Talk.accept(backend);
    await fresh.head();
    await fresh.say(OK);
    await client.hear("ok");
    expect(proxy.stats.http).toMatchObject({ requests: 2, retries: 1 });
  });

  test("lead over unix sockets, too", async () => {
    const folder = mkdtempSync(join(tmpdir(), "http-"));
    await using backend = await WireServer.listen(undefined, { path: join(folder, "b.sock") });
    await using proxy = await HttpProxy.start({
      listen: `unix:${join(folder, "l.sock")}`,
      target: backend.target,
    });
    const asked = proxy.ask("GET /x HTTP/1.1");
    const side = await Talk.accept(backend);
    expect(await side.head()).toStartWith("GET /x HTTP/1.1\r\n");
    await side.say(OK);
    expect(await asked).toEndWith("\r\n\r\nok");
    rmSync(folder, { recursive: true, force: true });
  });
});

describe("what goes wrong", () => {
  test("a target that refuses is 502, and another one is taken where there is one", async () => {
    await using gone = await WireServer.listen();
    const { target } = gone;
    await gone[Symbol.asyncDispose]();
    await using alone = await HttpProxy.start({ target });
    expect(await alone.ask("GET / HTTP/1.1")).toStartWith("HTTP/1.1 502 ");
    expect(alone.stats.refused.target_down).toBe(1);
    expect(alone.stats.http.ownAnswers["5xx"]).toBe(1);
    await using backend = await WireServer.listen();
    await using both = await HttpProxy.start({ targets: [target, backend.target] });
    for (let i = 0; i < 2; i++) {
      const asked = both.ask("POST / HTTP/1.1\r\ncontent-length: 3", "abc");
      const side = await Talk.accept(backend);
      await side.hear("abc");
      await side.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
      expect(await asked).toEndWith("ok");
    }
    expect(both.stats.http.retries).toBe(1);
  });

  test("a target that does not answer in time is 504", async () => {
    await using backend = await WireServer.listen();
    await using proxy = await HttpProxy.start({
      target: backend.target,
      timeouts: { response: "200ms" },
    });
    const answer = await proxy.ask("GET / HTTP/1.1");
    expect(answer).toStartWith("HTTP/1.1 504 ");
    expect(await (await backend.accept()).ending).toBe("ECONNRESET");
    expect(proxy.stats.refused.http_backend_timeout).toBe(1);
  });

  test("an answer that breaks off is cut off for the client", async () => {
    await using backend = await WireServer.listen();
    await using proxy = await HttpProxy.start({ target: backend.target });
    const client = await proxy.connect();
    await client.say(GET);
    const side = await Talk.accept(backend);
    await side.head();
    await side.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
    await client.hear("half");
    side.wire.end();
    expect(await client.wire.ending).not.toBe("fin");
    expect(proxy.stats.refused.http_backend).toBe(1);
  });

  test("a client that leaves takes its request with it", async () => {
    await using backend = await WireServer.listen();
    await using proxy = await HttpProxy.start({ target: backend.target });
    const client = await proxy.connect();
    await client.say(GET);
    const side = await Talk.accept(backend);
    await side.head();
    client.wire.reset();
    expect(await side.wire.ending).toBe("ECONNRESET");
    await until("it is counted", () => proxy.stats.http.unanswered === 1);
    await until("the client has left", () => proxy.stats.active === 0);
  });

  test("a body beyond its limit is 413, also if that shows late", async () => {
    await using backend = await WireServer.listen();
    await using proxy = await HttpProxy.start({
      target: backend.target,
      limits: { max_body: "10" },
    });
    expect(await proxy.ask("POST / HTTP/1.1\r\ncontent-length: 11")).toStartWith("HTTP/1.1 413 ");
    const chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked";
    const answer = await proxy.ask(chunked, "8\r\n12345678\r\n8\r\n12345678\r\n");
    expect(answer).toStartWith("HTTP/1.1 413 ");
    expect(backend.accepted).toBe(1);
    expect(proxy.stats.refused.http_body_too_large).toBe(2);
  });

  test("a route's own limits and timeouts hold for it, and the listener's for the others", async () => {
    await using backend = await WireServer.listen();
    await using proxy = await HttpProxy.start({
      target: backend.target,
      limits: { max_body: "10" },
      timeouts: { response: "10m" },
      routes: [
        { match: { path: "/upload" }, target: backend.target, limits: { max_body: "20" } },
        { match: { path: "/quick" }, target: backend.target, timeouts: { response: "200ms" } },
      ],
    });
    const post = (path: string, bytes: number): Promise<string> =>
      proxy.ask(`POST ${path} HTTP/1.1\r\ncontent-length: ${bytes}`, "x".repeat(bytes));
    expect(await post("/", 11)).toStartWith("HTTP/1.1 413 ");
    expect(await post("/upload", 21)).toStartWith("HTTP/1.1 413 ");
    const uploaded = post("/upload", 20);
    const side = await Talk.accept(backend);
    await side.head();
    await side.hear("x".repeat(20));
    await side.say(OK);
    expect(await uploaded).toStartWith("HTTP/1.1 200 ");
    expect(await proxy.ask("GET /quick HTTP/1.1")).toStartWith("HTTP/1.1 504 ");
  });

  test("a client that says nothing, or too little to know its version, is not waited for", async () => {
    await using proxy = await HttpProxy.start({
      target: "127.0.0.1:1",
      timeouts: { head: "200ms" },
    });
    const [silent, half] = [await proxy.connect(), await proxy.connect()];
    await half.say("PRI * HT");
    await silent.wire.ending;
    await half.wire.ending;
    await until("both are gone", () => proxy.stats.active === 0);
    expect(proxy.stats.refused.http_head_timeout).toBe(1);
  });
});

test("the preface of HTTP/2 is known in whatever pieces it comes", async () => {
  await using proxy = await HttpProxy.start({ target: "127.0.0.1:1" });
  const client = await proxy.connect();
  client.wire.socket.setNoDelay(true);
  for (const piece of ["P", "RI * HTTP/2.0\r\n", "\r\nSM\r\n", "\r\n"]) {
    await client.say(piece);
    await until("it is on its way", () => client.wire.socket.writableLength === 0);
  }
  await client.say("\0\0\0\x04\0\0\0\0\0"); // SETTINGS
  await until("SETTINGS of the server", () => client.heard.length >= 9);
  expect(client.heard.charCodeAt(3)).toBe(4);
});

test("a method that begins as the preface does is HTTP/1.1", async () => {
  await using backend = await WireServer.listen();
  await using proxy = await HttpProxy.start({ target: backend.target });
  const asked = proxy.ask("PROPFIND / HTTP/1.1");
  const side = await Talk.accept(backend);
  expect(await side.head()).toStartWith("PROPFIND / HTTP/1.1\r\n");
  await side.say(OK);
  expect(await asked).toEndWith("ok");
});

describe("a proxy that stops", () => {
  test("answers what was asked, says that it closes, and is done", async () => {
    await using backend = await WireServer.listen();
    await using proxy = await HttpProxy.start({ target: backend.target });
    const [busy, idle] = [await proxy.connect(), await proxy.connect()];
    await busy.say(GET);
    const side = await Talk.accept(backend);
    await side.head();
    const stopped = proxy.proxy.stop(10_000);
    expect(await idle.wire.ending).toBe("fin");
    idle.wire.end();
    await side.say(OK);
    expect(await busy.head()).toMatch(/^HTTP\/1.1 200 .*\r\nconnection: close\r\n/is);
    expect(await busy.wire.ending).toBe("fin");
    busy.wire.end();
    expect(await stopped).toEqual({ reset: 0 });
    expect(await side.wire.ending).toBe("fin");
  });

  test("resets what does not end in time", async () => {
    await using backend = await WireServer.listen();
    await using proxy = await HttpProxy.start({ target: backend.target });
    const client = await proxy.connect();
    await client.say(GET);
    const side = await Talk.accept(backend);
    await side.head();
    expect(await proxy.proxy.stop(50)).toEqual({ reset: 1 });
    expect(await client.wire.ending).not.toBe("fin");
  });
});

test("a client can be disconnected by its number", async () => {
  await using backend = await WireServer.listen();
  await using proxy = await HttpProxy.start({ target: backend.target });
  const client = await proxy.connect();
  await client.say(GET);
  await Talk.accept(backend);
  const [connection] = proxy.proxy.connections();
  expect(connection!.client).toMatch(/^127\.0\.0\.1:\d+$/);
  proxy.proxy.disconnect(connection!.worker, connection!.id);
  expect(await client.wire.ending).not.toBe("fin");
});
