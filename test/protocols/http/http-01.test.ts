// Challenges by HTTP (RFC 8555 section 8.3) on listeners of every kind: what is pending is answered before anything else, and
// what is not goes where all requests go.

import { afterAll, describe, expect, test } from "bun:test";

import type { Http01Answer } from "../../../src/shared/challenges.ts";
import { CHALLENGES } from "../../../src/shared/limits.ts";
import { Authority } from "../../support/certificates.ts";
import { run } from "../../support/daemon.ts";
import { HttpProxy, Talk } from "../../support/http-proxy.ts";
import { program, testWith } from "../../support/programs.ts";
import { Threads } from "../../support/threads.ts";
import { until, within } from "../../support/until.ts";
import { WireServer } from "../../support/wire.ts";

const authority = new Authority();
const OWN = authority.issue(["a.example"]);
afterAll(() => authority[Symbol.dispose]());

const TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";
const KEY = `${TOKEN}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI`;
const PATH = `/.well-known/acme-challenge/${TOKEN}`;

function answer(changes: Partial<Http01Answer> = {}): Http01Answer {
  return {
    type: "http-01",
    domain: "a.example",
    token: TOKEN,
    keyAuthorization: KEY,
    ...changes,
  };
}

/** A listener that would redirect everything: what comes through all the same is the proxy's own. */
function start(keys: Readonly<Record<string, unknown>> = {}): Promise<HttpProxy> {
  const redirect = { to: "https://{host}", status: 301 };
  return HttpProxy.start({ routes: [{ match: { path: "/*" }, redirect }], ...keys });
}

async function ask(proxy: HttpProxy, line: string, host: string): Promise<string> {
  const talk = await proxy.connect();
  await talk.say(`${line} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
  return within("the answer", talk.rest());
}

describe("a challenge that is pending", () => {
  test("is answered before routes, until it is withdrawn", async () => {
    await using proxy = await start();
    expect(await ask(proxy, `GET ${PATH}`, "a.example")).toStartWith("HTTP/1.1 301 ");
    const pending = answer();
    await proxy.proxy.challenges.add(pending);
    const found = await ask(proxy, `GET ${PATH}`, "a.example");
    expect(found).toStartWith("HTTP/1.1 200 ");
    expect(found).toMatch(/\r\ncontent-type: application\/octet-stream\r\n/i);
    expect(found).toEndWith(`\r\n\r\n${KEY}`);
    proxy.proxy.challenges.remove(pending);
    await proxy.proxy.answers();
    expect(await ask(proxy, `GET ${PATH}`, "a.example")).toStartWith("HTTP/1.1 301 ");
  });

  test("is told to HEAD without its body", async () => {
    await using proxy = await start();
    await proxy.proxy.challenges.add(answer());
    const found = await ask(proxy, `HEAD ${PATH}`, "a.example");
    expect(found).toMatch(new RegExp(`\\r\\ncontent-length: ${KEY.length}\\r\\n`, "i"));
    expect(found).toEndWith("\r\n\r\n");
  });

  for (const host of ["A.Example", "a.example.", "a.example:80", "a.example.:8080"]) {
    test(`is its host's, written as ${host}`, async () => {
      await using proxy = await start();
      await proxy.proxy.challenges.add(answer());
      expect(await ask(proxy, `GET ${PATH}`, host)).toEndWith(KEY);
    });
  }

  for (const [domain, host] of [
    ["192.0.2.1", "192.0.2.1"],
    ["2001:db8::1", "[2001:DB8:0::1]:80"],
  ] as const) {
    test(`may be for an address, asked as ${host}`, async () => {
      await using proxy = await start();
      await proxy.proxy.challenges.add(answer({ domain }));
      expect(await ask(proxy, `GET ${PATH}`, host)).toEndWith(KEY);
    });
  }

  test("is answered with a query behind it, and in absolute form", async () => {
    await using proxy = await start();
    await proxy.proxy.challenges.add(answer());
    expect(await ask(proxy, `GET ${PATH}?x=1`, "a.example")).toEndWith(KEY);
    expect(await ask(proxy, `GET http://a.example${PATH}`, "a.example")).toEndWith(KEY);
  });

  test("is counted and logged like any other request", async () => {
    await using proxy = await start();
    await proxy.proxy.challenges.add(answer());
    await ask(proxy, `GET ${PATH}`, "a.example");
    await until("the count", () => proxy.stats.http.requests === 1);
    expect(proxy.stats.http.ownAnswers["2xx"]).toBe(1);
  });

  test("is answered although bodies and routes would refuse it", async () => {
    await using proxy = await HttpProxy.start({
      routes: [{ match: { host: "b.example" }, target: "127.0.0.1:1" }],
    });
    await proxy.proxy.challenges.add(answer());
    expect(await ask(proxy, `GET ${PATH}`, "a.example")).toEndWith(KEY);
    expect(await ask(proxy, "GET /", "a.example")).toStartWith("HTTP/1.1 404 ");
  });

  test("is known to a worker that came up later", async () => {
    using threads = new Threads();
    await using proxy = await start();
    await proxy.proxy.challenges.add(answer());
    const { proxy: running } = proxy;
    threads.crash(threads.all[0]!);
    await until("another worker", () => running.stats().workerRestarts === 1);
    await until("the listener", () => running.listeners()[0]!.workers.length === 1);
    expect(await ask(proxy, `GET ${PATH}`, "a.example")).toEndWith(KEY);
  });
});

describe("what is not pending", () => {
  const others: [string, string, string][] = [
    ["another token", `GET ${PATH}x`, "a.example"],
    ["a part of the token", `GET ${PATH.slice(0, -1)}`, "a.example"],
    ["another host", `GET ${PATH}`, "b.example"],
    ["a name below", `GET ${PATH}`, "www.a.example"],
    ["another case of the token", `GET ${PATH.toUpperCase()}`, "a.example"],
    ["another method", `DELETE ${PATH}`, "a.example"],
    ["a path that is huge", `GET ${PATH}${"x".repeat(8_000)}`, "a.example"],
    ["junk", "GET /.well-known/acme-challenge/%00..%2f%ff", "a.example"],
    ["no token", "GET /.well-known/acme-challenge/", "a.example"],
  ];
  for (const [what, line, host] of others) {
    test(`goes to the routes: ${what}`, async () => {
      await using backend = await WireServer.listen();
      await using proxy = await HttpProxy.start({ target: backend.target });
      await proxy.proxy.challenges.add(answer());
      const asked = ask(proxy, line, host);
      const side = await Talk.accept(backend);
      expect(await side.head()).toStartWith(`${line} HTTP/1.1\r\n`);
      await side.say("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
      expect(await asked).toStartWith("HTTP/1.1 204 ");
    });
  }

  test("is bounded: one more than many may be is refused by name", async () => {
    await using proxy = await start();
    const { challenges } = proxy.proxy;
    const many = Array.from({ length: CHALLENGES.pendingMax }, (_, i) =>
      answer({ domain: `${i}.example` }),
    );
    await within("all of them", Promise.all(many.map((each) => challenges.add(each))));
    expect(await ask(proxy, `GET ${PATH}`, "255.example")).toEndWith(KEY);
    await expect(challenges.add(answer())).rejects.toMatchObject({ code: "ERR_CHALLENGE" });
    challenges.remove(many[0]!);
    await challenges.add(answer());
    expect(await ask(proxy, `GET ${PATH}`, "a.example")).toEndWith(KEY);
  });
});

describe("in every version", () => {
  testWith(["curl"], "of HTTP, in clear and over TLS", async () => {
    const { certFile: cert_file, keyFile: key_file } = OWN;
    await using clear = await start();
    await using secure = await start({ name: "http2", tls: { cert_file, key_file } });
    const ways = [
      [clear, "http", "--http1.1"],
      [clear, "http", "--http2-prior-knowledge"],
      [secure, "https", "--http1.1"],
      [secure, "https", "--http2"],
    ] as const;
    for (const [proxy, scheme, version] of ways) {
      await proxy.proxy.challenges.add(answer());
      const { port } = proxy.address as { port: number };
      const resolve = ["--resolve", `a.example:${port}:127.0.0.1`, "--cacert", authority.caFile];
      const url = `${scheme}://a.example:${port}${PATH}`;
      const command = [program("curl"), "-sS", "--noproxy", "*", version, ...resolve, url];
      expect((await run(command)).stdout).toBe(KEY);
    }
  });
});
