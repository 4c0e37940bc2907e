// Health checks against real servers: a target that does not answer as expected goes, and comes back.

import { expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { probe } from "../../src/control/probe.ts";
import { parseEndpoint } from "../../src/shared/address.ts";
import { HEALTH_DEFAULTS } from "../../src/shared/limits.ts";
import { GROUP_DEFAULTS, type GroupPlan, type HealthPlan } from "../../src/shared/plan.ts";
import { Relay } from "../support/relay.ts";
import { until, within } from "../support/until.ts";
import { WireServer } from "../support/wire.ts";

const TCP: HealthPlan = { ...HEALTH_DEFAULTS, intervalMs: 20, timeoutMs: 2_000, rise: 2, fall: 2 };
const HTTP: HealthPlan = { ...TCP, type: "http", path: "/ready" };

/** Answers every request with this status; counts them. */
async function httpServer(status: () => number) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.writeHead(status()).end("x".repeat(100));
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    [Symbol.asyncDispose]: () => {
      server.closeAllConnections();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function group(health: HealthPlan, ...addresses: string[]): GroupPlan {
  const targets = addresses.map((address) => ({
    endpoint: parseEndpoint(address, "target"),
    weight: 1,
    backup: false,
  }));
  return { ...GROUP_DEFAULTS, balance: "round_robin", targets, health };
}

function place(text: string): { kind: "ip"; host: string; port: number } {
  const [host = "", port = ""] = text.split(":");
  return { kind: "ip", host, port: Number(port) };
}

const never = new AbortController().signal;

test("a tcp probe is well if the target accepts, and says what is wrong otherwise", async () => {
  const server = await WireServer.listen();
  const address = place(server.target);
  expect(await probe(address, TCP, never)).toBeNull();
  await server[Symbol.asyncDispose]();
  expect(await probe(address, TCP, never)).toBe("ECONNREFUSED");
});

test("an http probe asks for its path and expects a status", async () => {
  let status = 204;
  await using server = await httpServer(() => status);
  const address = place(server.address);
  expect(await probe(address, HTTP, never)).toBeNull();
  expect(server.asked).toEqual(["GET /ready"]);
  status = 503;
  expect(await probe(address, HTTP, never)).toBe("status 503");
  expect(await probe(address, { ...HTTP, statuses: [503] }, never)).toBeNull();
});

test("a probe that gets no answer ends with its timeout", async () => {
  await using silent = await WireServer.listen();
  const hurried = { ...HTTP, timeoutMs: 50 };
  expect(await within("it", probe(place(silent.target), hurried, never))).toBe("no answer in time");
});

test("a target whose probes fail gets no clients until they succeed again", async () => {
  let status = 200;
  await using first = await httpServer(() => status);
  await using second = await httpServer(() => 200);
  const groups = [group(HTTP, first.address, second.address)];
  await using relay = await Relay.start("auto", { target: "127.0.0.1:1", groups });
  const visits = async (): Promise<number> => {
    const before = relay.stats.targets[0]!.connects;
    for (let i = 0; i < 4; i++) {
      const client = await relay.connect();
      await client.write("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
      await within("the answer", client.readAll());
      client.end();
    }
    return relay.stats.targets[0]!.connects - before;
  };
  expect(await visits()).toBe(2);
  status = 500;
  await until("it is left out", async () => (await visits()) === 0);
  status = 200;
  await until("it is back", async () => (await visits()) === 2);
});
