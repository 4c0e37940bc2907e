// What routes and their targets have counted goes on over reloads, also of those that were gone for a while.

import { expect, test } from "bun:test";

import { checkSource } from "../../src/config/check.ts";
import { compile } from "../../src/control/compile.ts";
import { Proxy } from "../../src/control/proxy.ts";
import type { Plan } from "../../src/shared/plan.ts";
import { until } from "../support/until.ts";

const KEY = "http 127.0.0.1:0";
const MACHINE = { platform: process.platform, cpus: 1, folder: "/", terminal: false };

function planOf(target: string, ...paths: string[]): Plan {
  const routes = paths.map((path) => ({ match: { path }, target }));
  const some = routes.length === 0 ? {} : { routes };
  const value = {
    workers: 2,
    protocols: [{ name: "http", listen: "127.0.0.1:0", target, ...some }],
  };
  return compile(checkSource({ value, place: () => ({ text: "test", order: 0 }) }), MACHINE);
}

test("a reload forgets no count of a route or of its target, and the listener has them all", async () => {
  using backend = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("hello") });
  const target = `127.0.0.1:${backend.port}`;
  await using proxy = await Proxy.start(planOf(target, "/a", "/b"));
  const bound = proxy.listeners()[0]!.bound[0]!;
  const ask = async (path: string, times: number): Promise<void> => {
    const url = `http://127.0.0.1:${bound.kind === "ip" ? bound.port : 0}${path}`;
    for (let i = 0; i < times; i++) await (await fetch(url, { keepalive: false })).text();
  };
  const requests = (): Record<string, number> =>
    Object.fromEntries(
      proxy.stats().listeners[KEY]!.routes.map(({ name, requests: n }) => [name, n]),
    );
  const connects = (route: string): number | undefined =>
    proxy.stats().listeners[KEY]!.targets.find((each) => each.route === route)?.connects;
  await ask("/a", 1);
  await ask("/b", 2);
  await ask("/c", 4);
  expect(requests()).toEqual({ none: 0, "/a": 1, "/b": 2, default: 4 });
  const ofB = connects("/b")!;
  expect(ofB).toBeGreaterThan(0);

  await proxy.reload(planOf(target, "/a"));
  await until("those of before have left", () => proxy.stats().listeners[KEY]!.active === 0);
  await ask("/a", 8);
  await ask("/b", 16);
  expect(requests()).toEqual({ none: 0, "/a": 9, default: 20 });
  expect(connects("/b")).toBeUndefined();
  expect(proxy.stats().listeners[KEY]!.http.requests).toBe(31);

  await proxy.reload(planOf(target, "/b", "/new"));
  await ask("/b", 32);
  expect(requests()).toEqual({ none: 0, "/b": 34, "/new": 0, default: 20 });
  expect(connects("/b")).toBeGreaterThan(ofB);
  expect(proxy.stats().listeners[KEY]!.http.requests).toBe(63);
});
