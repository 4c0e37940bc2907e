// Routes that are never reached: what the check of a configuration says is held to what the gateway does with requests.

import { expect, test } from "bun:test";

import fc from "fast-check";

import { coveredRoutes, describeMatch, type Match } from "../../src/config/http-coverage.ts";
import { RouteTable } from "../../src/protocols/http/route/table.ts";
import type { HttpMatchPlan } from "../../src/shared/http-plan.ts";
import { requestHead } from "../protocols/http/route/heads.ts";

const HOSTS = ["a.example", "b.a.example", "c.b.a.example", "d.test"];
const PATHS = ["/", "/v1", "/v1/", "/v1/x", "/v1beta", "/v2"];
const METHODS = ["GET", "POST", "PUT"];
const VALUES = ["1", "2"];

const optional = <T>(inner: fc.Arbitrary<T>) => fc.option(inner, { nil: undefined });

const matches: fc.Arbitrary<Match> = fc
  .record({
    host: optional(fc.constantFrom(...HOSTS, "*.a.example", "*.b.a.example", "*.example")),
    path: optional(fc.constantFrom(...PATHS, "/*", "/v1*", "/v1/*", "/v1/x*")),
    methods: optional(fc.subarray(METHODS, { minLength: 1 })),
    headers: optional(
      fc.dictionary(fc.constantFrom("x-a", "X-B"), fc.constantFrom("*", ...VALUES), { minKeys: 1 }),
    ),
  })
  .map((found) => Object.fromEntries(Object.entries(found).filter(([, value]) => value)) as Match);

const requests = fc.record({
  authority: fc.constantFrom(...HOSTS, "example"),
  path: fc.constantFrom(...PATHS),
  method: fc.constantFrom(...METHODS, "DELETE"),
  fields: fc.array(fc.tuple(fc.constantFrom("x-a", "x-b"), fc.constantFrom(...VALUES, "3")), {
    maxLength: 3,
  }),
});

function planned({ host, path, methods, headers }: Match): { match: HttpMatchPlan } {
  const fields = Object.entries(headers ?? {}).map(([name, value]) => ({
    name: name.toLowerCase(),
    value: value === "*" ? null : value,
  }));
  return {
    match: { host: host ?? null, path: path ?? null, methods: methods ?? null, headers: fields },
  };
}

test("no request takes a route that is said to be never reached", () => {
  let covered = 0;
  fc.assert(
    fc.property(
      fc.array(matches, { minLength: 2, maxLength: 6 }),
      fc.array(requests, { minLength: 1, maxLength: 20 }),
      (routes, asked) => {
        const never = coveredRoutes(routes).map(({ route }) => route);
        covered += never.length;
        const table = new RouteTable(routes.map(planned));
        for (const request of asked) expect(never).not.toContain(table.find(requestHead(request)));
      },
    ),
    { numRuns: 2_000 },
  );
  expect(covered).toBeGreaterThan(100);
});

test("a route takes requests if one condition sets it apart from each earlier one", () => {
  const apart: Match[] = [
    { host: "a.example", path: "/v1/*" },
    { host: "*.a.example", path: "/v1/*" },
    { host: "a.example", path: "/v1*" },
    { host: "a.example", methods: ["GET"], headers: { "x-a": "1" } },
    { host: "a.example", methods: ["GET"], headers: { "x-a": "*" } },
    { host: "a.example", methods: ["GET", "POST"], headers: { "x-a": "*" } },
    { host: "a.example", path: "/v2" },
    { host: "a.example" },
    {},
  ];
  expect(coveredRoutes(apart)).toEqual([]);
});

test("the same conditions in another order or case are the same", () => {
  const twice: Match[] = [
    { methods: ["GET", "POST"], headers: { "X-A": "1", "x-b": "*" } },
    { methods: ["POST", "GET"], headers: { "x-b": "2", "x-a": "1" } },
  ];
  expect(coveredRoutes(twice)).toEqual([{ route: 1, by: 0 }]);
});

test("the route in the way is the first of those that are in the way by themselves", () => {
  fc.assert(
    fc.property(fc.array(matches, { maxLength: 8 }), (routes) => {
      const alone = routes.flatMap((route, i) => {
        const by = routes.slice(0, i).findIndex((each) => coveredRoutes([each, route]).length > 0);
        return by < 0 ? [] : [{ route: i, by }];
      });
      expect(coveredRoutes(routes)).toEqual(alone);
    }),
    { numRuns: 1_000 },
  );
});

test("a match reads as a request does", () => {
  expect(describeMatch({})).toBe("every request");
  const whole = { host: "a.example", path: "/v1/*", methods: ["GET"], headers: { a: "*", b: "c" } };
  expect(describeMatch(whole)).toBe("GET a.example/v1/* with a with b: c");
});
