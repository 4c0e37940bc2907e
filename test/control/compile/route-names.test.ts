// What routes are called in metrics.

import { expect, test } from "bun:test";

import { nameRoutes } from "../../../src/control/compile/route-names.ts";
import { METRICS } from "../../../src/shared/metrics-limits.ts";

test("a route is called what it matches, without what may be a secret", () => {
  expect(
    nameRoutes([
      { match: { host: ["api.example.com"], path: ["/v1/*"] } },
      { match: { host: ["a.example", "b.example"], path: ["/x", "/y"] } },
      { match: { methods: ["GET", "HEAD"], path: ["/"] } },
      { match: { host: ["a.example"], headers: { "X-Key": "secret", accept: "*" } } },
      { sni: "*.example.com" },
      { alpn: ["h2", "http/1.1"] },
      { sni: "db.example.com", alpn: ["postgresql"] },
      {},
    ]),
  ).toEqual([
    "api.example.com/v1/*",
    "a.example/x +3",
    "GET,HEAD /",
    "a.example with x-key,accept",
    "*.example.com",
    "alpn h2,http/1.1",
    "db.example.com alpn postgresql",
    "*",
  ]);
});

test("a name that was given may be shared, one that was made is nobody else's", () => {
  const path = (...paths: string[]) => ({ match: { path: paths } });
  const routes = [
    { ...path("/a"), name: "shop" },
    { ...path("/b"), name: "shop" },
    { ...path("/c"), name: "/d" },
    path("/d"),
    { match: { path: ["/d"], headers: {} } },
    path("default"),
  ];
  expect(nameRoutes(routes)).toEqual(["shop", "shop", "/d", "/d #2", "/d #3", "default #2"]);
});

test("there are no more names than are counted, and none is long", () => {
  const many = Array.from({ length: 1_000 }, (_, i) => ({ match: { path: [`/${i}`] } }));
  const names = nameRoutes(many);
  expect(new Set(names).size).toBe(METRICS.routesMax + 1);
  expect(names.slice(METRICS.routesMax)).toEqual(Array.from({ length: 800 }, () => "other"));
  const [long = ""] = nameRoutes([{ match: { path: [`/${"a".repeat(500)}`] } }]);
  expect(long).toHaveLength(METRICS.nameMax);
  expect(long).toEndWith("a…");
});
