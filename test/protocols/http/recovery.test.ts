// Targets that fail and recover behind a whole proxy: circuit breakers and the budget of retries, with real backends.

import { expect, test } from "bun:test";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { HttpProxy } from "../../support/http-proxy.ts";
import { until } from "../../support/until.ts";

/** A backend that answers with the status that it is told to, and counts what reaches it. */
class Backend implements AsyncDisposable {
  status = 200;
  requests = 0;
  readonly #server: Server;

  private constructor() {
    const answer: RequestListener = (_request, response) => {
      this.requests++;
      response.writeHead(this.status).end();
    };
    this.#server = createServer(answer);
  }

  static async start(port = 0): Promise<Backend> {
    const backend = new Backend();
    const listening = Promise.withResolvers<void>();
    backend.#server.listen(port, "127.0.0.1", listening.resolve);
    await listening.promise;
    return backend;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get target(): string {
    return `127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

async function statusOf(proxy: HttpProxy): Promise<number> {
  return Number((await proxy.ask("GET / HTTP/1.1")).slice(9, 12));
}

test("a target that answers 503 too often is not asked any more, and clients are told when to come again", async () => {
  await using backend = await Backend.start();
  const breaker = { failures: 3, error_rate: 0, open: "60s", max_open: "60s", statuses: [503] };
  await using proxy = await HttpProxy.start({ target: backend.target, circuit_breaker: breaker });
  expect(await statusOf(proxy)).toBe(200);
  backend.status = 503;
  for (let i = 0; i < 3; i++) expect(await statusOf(proxy)).toBe(503);
  const answer = await proxy.ask("GET / HTTP/1.1");
  expect(answer).toStartWith("HTTP/1.1 503");
  expect(Number(/\nretry-after: (\d+)\r/i.exec(answer)?.[1])).toBeWithin(1, 61);
  expect(backend.requests).toBe(4);
  expect(proxy.stats.refused.circuit_open).toBe(1);
  expect(proxy.stats.targets[0]).toMatchObject({ states: { ejected: 1 }, ejections: 1 });
});

test("a target that went away and comes back is found by the clients' own requests", async () => {
  const backend = await Backend.start();
  const breaker = { failures: 2, open: "50ms", max_open: "50ms", probes: 2 };
  await using proxy = await HttpProxy.start({ target: backend.target, circuit_breaker: breaker });
  expect(await statusOf(proxy)).toBe(200);
  const { port } = backend;
  await backend[Symbol.asyncDispose]();
  await until("it is open", async () => {
    expect(await statusOf(proxy)).toBeOneOf([502, 503]);
    return proxy.stats.refused.circuit_open > 0;
  });
  await using again = await Backend.start(port);
  await until("it answers", async () => (await statusOf(proxy)) === 200);
  await until("it is closed", async () => {
    await statusOf(proxy);
    return proxy.stats.targets[0]!.states.up === 1;
  });
  const { circuit_open: refused } = proxy.stats.refused;
  for (let i = 0; i < 5; i++) expect(await statusOf(proxy)).toBe(200);
  expect(proxy.stats.refused.circuit_open).toBe(refused);
  expect(again.requests).toBeGreaterThan(5);
});

test("requests that fail everywhere are tried again no more than the budget allows", async () => {
  await using a = await Backend.start();
  await using b = await Backend.start();
  a.status = b.status = 503;
  const retries = { attempts: 5, on: [503], budget: "20%", min_per_second: 0 };
  await using proxy = await HttpProxy.start({ targets: [a.target, b.target], retries });
  const asked = 50;
  for (let i = 0; i < asked; i++) expect(await statusOf(proxy)).toBe(503);
  const { requests, retries: sent, retriesRefused } = proxy.stats.http;
  expect(a.requests + b.requests).toBe(asked + sent);
  expect([requests, sent + retriesRefused]).toEqual([asked, asked]);
  expect(sent).toBeWithin(1, asked * 0.2 + 1);
});

test("an answer of 429 is tried elsewhere where the route says so", async () => {
  await using a = await Backend.start();
  await using b = await Backend.start();
  a.status = 429;
  const retries = { on: [429] };
  await using proxy = await HttpProxy.start({ targets: [a.target, b.target], retries });
  for (let i = 0; i < 4; i++) expect(await statusOf(proxy)).toBe(200);
});
