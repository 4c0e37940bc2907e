// Which route a request takes: what a rule fits, which paths are refused, and that the table finds what trying the rules in
// order with strings would find.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import {
  BAD_PATH,
  NO_ROUTE,
  RouteTable,
  statusWithoutRoute,
} from "../../../../src/protocols/http/route/table.ts";
import { ProxyError } from "../../../../src/shared/errors.ts";
import type { HttpMatchPlan } from "../../../../src/shared/http-plan.ts";
import { ANY, type Asked, connection, match, requestHead, wireTls } from "./heads.ts";

const find = (rules: readonly Partial<HttpMatchPlan>[], asked: Asked): number =>
  new RouteTable(rules.map(match)).find(requestHead(asked));

describe("a rule for a host", () => {
  test.each([
    ["api.example.com", "api.example.com", true],
    ["api.example.com", "API.Example.COM", true],
    ["api.example.com", "api.example.com:8443", true],
    ["api.example.com", "api.example.com.", true],
    ["api.example.com", "api.example.com.:8443", true],
    ["api.example.com", "x.api.example.com", false],
    ["api.example.com", "api.example.co", false],
    ["api.example.com", "", false],
    ["*.example.com", "a.example.com", true],
    ["*.example.com", "a.b.EXAMPLE.com:80", true],
    ["*.example.com", "example.com", false],
    ["*.example.com", ".example.com", false],
    ["*.example.com", "aexample.com", false],
    ["*.com", "example.com", true],
    ["[::1]", "[::1]:8080", true],
    ["[::1]", "[::1]", true],
    ["[::1]", "[::2]", false],
    ["10.0.0.1", "10.0.0.1:80", true],
    ["bücher.example", "xn--bcher-kva.example", true],
  ])("%p and the host %p: %p", (host, authority, expected) => {
    expect(find([{ host }], { authority })).toBe(expected ? 0 : NO_ROUTE);
  });

  test("is asked in order with the rules for its wildcards and for any host", () => {
    const rules = [
      { host: "*.example", path: "/wild" },
      { host: "a.example", path: "/a" },
      { path: "/any" },
      { host: "a.example" },
      { host: "*.example" },
      {},
    ];
    const at = (authority: string, path: string): number => find(rules, { authority, path });
    expect(at("a.example", "/wild")).toBe(0);
    expect(at("a.example", "/a")).toBe(1);
    expect(at("a.example", "/any")).toBe(2);
    expect(at("a.example", "/x")).toBe(3);
    expect(at("b.example", "/a")).toBe(4);
    expect(at("b.test", "/a")).toBe(5);
  });

  test.each(["", "*", "a b", "*.", "a.example:80", "https://a.example", "a.*.example"])(
    "is refused if it is %p, with what to write",
    (host) => {
      expect(() => new RouteTable([match({ host })])).toThrow(ProxyError);
      expect(() => new RouteTable([match({ host })])).toThrow("without its port");
    },
  );
});

describe("a rule for a path", () => {
  test.each([
    ["/v1", "/v1", true],
    ["/v1", "/v1?a=/../b", true],
    ["/v1", "/v1/", false],
    ["/v1", "/V1", false],
    ["/v1/*", "/v1/users", true],
    ["/v1/*", "/v1/", true],
    ["/v1/*", "/v1", true],
    ["/v1/*", "/v1?x", true],
    ["/v1/*", "/v1beta", false],
    ["/v1*", "/v1beta", true],
    ["/v1*", "/v", false],
    ["/*", "/anything", true],
    ["*", "/anything", true],
    ["*", "*", true],
    ["/*", "*", false],
    ["/*", "", false],
    ["/v1/*", "/%76%31/users", true],
    ["/v1/*", "/x/../v1/users", true],
    ["/v1/*", "/v1/../admin", false],
    ["/v1/*", "/v1/%2e%2E/admin", false],
    ["/v1/*", "/v1/./../admin", false],
    ["/v1/*", "//v1///users", true],
    ["/v1/*", "/./v1/users", true],
    ["/v1/*", "/v1/..", false],
    ["/v1/", "/v1/a/..", true],
    ["/v1/", "/v1/.", true],
    ["/.well-known/*", "/.well-known/acme", true],
    ["/a..b/*", "/a..b/c", true],
    ["/.../*", "/.../c", true],
    ["/bücher/*", "/b%C3%BCcher/1", true],
    ["/a%20b", "/a%20b", true],
    ["/@scope/*", "/%40scope/x", true],
    ["/a%2fb", "/a%2Fb", true],
    ["/a%2Fb", "/a%252Fb", false],
  ])("%p and the path %p: %p", (path, asked, expected) => {
    expect(find([{ path }], { path: asked })).toBe(expected ? 0 : NO_ROUTE);
  });

  test.each([
    "/a%00b",
    "/a%",
    "/a%4",
    "/a%zz",
    "/a#b",
    "/..",
    "/a/../../b",
    "/%2e%2e/",
    "a",
    "/a\0b",
  ])("refuses %p: nobody agrees on what it is", (path) => {
    expect(find([{ path: "/v1/*" }, {}], { path })).toBe(BAD_PATH);
  });

  test.each(["/a%00b", "/a%", "/.."])(
    "that is for another host, or behind the one that fits, does not refuse %p",
    (path) => {
      const rules = [{ host: "b.example", path: "/v1/*" }, {}, { path: "/v1/*" }];
      expect(find(rules, { path, authority: "a.example" })).toBe(1);
      expect(find([{ host: "a.example" }, { path: "/v1/*" }], { path })).toBe(0);
    },
  );

  test("is not looked at where the first route is for everything", () => {
    expect(find([{}, { path: "/v1/*" }], { path: "/a%00b/.." })).toBe(0);
  });

  test.each([
    "/%2fadmin/x",
    "/admin%2fx",
    "/x%2f..%2fadmin/x",
    "/admin;y/x",
    "/x/..;/admin/x",
    "/\\admin\\x",
    "/x%5c..%5cadmin%5cx",
  ])("refuses %p, which some programs read as a path of another route", (path) => {
    expect(find([{ path: "/admin/*" }, {}], { path })).toBe(BAD_PATH);
  });

  test.each([
    ["/api/projects/group%2Fproject", 1],
    ["/api/cart;session=1", 1],
    ["/files/a%5Cb", 2],
    ["/files/a%252f..%252f..%252fadmin", 2],
    ["/admin/a%2Fb", 0],
  ])("takes %p, whose readings all lead to one route", (path, expected) => {
    expect(find([{ path: "/admin/*" }, { path: "/api/*" }, {}], { path })).toBe(expected);
  });

  test.each(["v1/*", "", "/a?b", "/a b", "/a%zz", "/a/../../b"])(
    "is refused if it is %p, with what to write",
    (path) => {
      expect(() => new RouteTable([match({ path })])).toThrow(ProxyError);
      expect(() => new RouteTable([match({ path })])).toThrow("begins with /");
    },
  );
});

describe("a rule for methods and fields", () => {
  test("compares methods as they are", () => {
    const rules = [{ methods: ["GET", "HEAD"] }];
    expect(find(rules, { method: "HEAD" })).toBe(0);
    expect(find(rules, { method: "POST" })).toBe(NO_ROUTE);
    expect(find(rules, { method: "get" })).toBe(NO_ROUTE);
  });

  test("wants every field, and of several with one name any", () => {
    const rules = [
      {
        headers: [
          { name: "x-env", value: "staging" },
          { name: "accept", value: null },
        ],
      },
    ];
    const at = (...fields: [string, string][]): number => find(rules, { fields });
    expect(at(["X-Env", "staging"], ["Accept", "a/b"])).toBe(0);
    expect(at(["x-env", "prod"], ["x-env", "staging"], ["accept", ""])).toBe(0);
    expect(at(["x-env", "staging"])).toBe(NO_ROUTE);
    expect(at(["x-env", "Staging"], ["accept", "a/b"])).toBe(NO_ROUTE);
    expect(at(["x_env", "staging"], ["accept", "a/b"])).toBe(NO_ROUTE);
  });

  test("knows what a request upgrades to", () => {
    const rules = [
      { headers: [{ name: "upgrade", value: "WebSocket" }] },
      { headers: [{ name: "upgrade", value: null }] },
    ];
    expect(find(rules, { upgrade: "websocket" })).toBe(0);
    expect(find(rules, { upgrade: "connect-udp" })).toBe(1);
    expect(find(rules, {})).toBe(NO_ROUTE);
  });

  test.each(["host", "connection", "content-length"])("cannot be about %s", (name) => {
    expect(() => new RouteTable([match({ headers: [{ name, value: null }] })])).toThrow(ProxyError);
  });
});

describe("a request that no route fits", () => {
  test.each([
    ["a.example", "a.example", 404],
    ["A.example.:8443", "a.example", 404],
    ["b.example", "a.example", 421],
    ["b.example", "", 404],
    ["", "a.example", 404],
  ])("for %p on a connection for %p is answered %p", (authority, serverName, expected) => {
    const client = connection({ tls: wireTls({ serverName }) });
    expect(statusWithoutRoute(requestHead({ authority }), client)).toBe(expected as 404 | 421);
  });

  test("in clear is answered 404", () => {
    expect(statusWithoutRoute(requestHead(), connection())).toBe(404);
  });
});

// The same rules with strings, one after the other. Only what cannot be read in two ways is asked of it.
function naive(rules: readonly HttpMatchPlan[], asked: Required<Asked>): number {
  const host = asked.authority.replace(/:\d*$/, "").replace(/\.$/, "").toLowerCase();
  const path = normal(asked.path.replace(/\?.*/, ""));
  for (const [index, rule] of rules.entries()) {
    if (rule.host !== null) {
      const below = rule.host.startsWith("*.");
      const suffix = rule.host.slice(1);
      if (below ? !host.endsWith(suffix) || host.length === suffix.length : host !== rule.host)
        continue;
    }
    if (rule.path !== null) {
      if (path === null) return BAD_PATH;
      const prefix = rule.path.endsWith("*") ? rule.path.slice(0, -1) : null;
      const fits =
        prefix === null
          ? path === rule.path
          : path.startsWith(prefix) || (prefix.endsWith("/") && `${path}/` === prefix);
      if (!fits) continue;
    }
    if (rule.methods !== null && !rule.methods.includes(asked.method)) continue;
    const has = ({ name, value }: HttpMatchPlan["headers"][number]): boolean =>
      asked.fields.some((field) => field[0] === name && (value === null || field[1] === value));
    if (rule.headers.every(has)) return index;
  }
  return NO_ROUTE;
}

/** null: above the root. */
function normal(path: string): string | null {
  const segments = path.split("/").slice(1).map(decodeURIComponent);
  const out: string[] = [];
  for (const [i, segment] of segments.entries()) {
    const last = i === segments.length - 1;
    if (segment === "..") {
      if (out.length === 0) return null;
      out.pop();
    } else if (segment !== "." && (segment !== "" || last)) {
      out.push(segment);
      continue;
    }
    if (last) out.push("");
  }
  return `/${out.join("/")}`;
}

const segment = fc.constantFrom("a", "b", "%61", "", ".", "..", "%2e", ".%2E", "a.b", "...");
const askedPath = fc
  .tuple(fc.array(segment, { minLength: 1, maxLength: 5 }), fc.constantFrom("", "?q=/../a"))
  .map(([segments, query]) => `/${segments.join("/")}${query}`);
const ruleHost = fc.constantFrom(null, "a.example", "b.a.example", "*.example", "*.a.example");
const rulePath = fc.constantFrom(
  null,
  "/",
  "/a",
  "/a/",
  "/a/*",
  "/a*",
  "/a/b",
  "/a/b/*",
  "/*",
  "/b/*",
  "*",
);
const rule = fc.record({
  host: ruleHost,
  path: rulePath,
  methods: fc.constantFrom(null, ["GET"], ["GET", "POST"]),
  headers: fc.constantFrom([], [{ name: "x-a", value: "1" }], [{ name: "accept", value: null }]),
});
const request = fc.record({
  method: fc.constantFrom("GET", "POST"),
  authority: fc.constantFrom(
    "a.example",
    "A.Example:80",
    "b.a.example.",
    "c.b.a.example",
    "example",
    "x.test",
    "",
  ),
  path: askedPath,
  upgrade: fc.constant(""),
  version: fc.constant(11 as const),
  fields: fc.constantFrom<[string, string][]>(
    [],
    [["x-a", "1"]],
    [
      ["accept", ""],
      ["x-a", "2"],
    ],
  ),
});

test("finds what trying the rules in order finds", () => {
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 8 }), request, (rules, asked) => {
      expect(find(rules, asked)).toBe(naive(rules, asked));
    }),
    { numRuns: 3_000 },
  );
});

test("a table that has been asked anything answers the same as a new one", () => {
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 6 }),
      fc.array(request, { minLength: 2, maxLength: 6 }),
      (rules, all) => {
        const table = new RouteTable(rules.map((each) => ({ match: { ...ANY, ...each } })));
        for (const asked of all) expect(table.find(requestHead(asked))).toBe(find(rules, asked));
      },
    ),
  );
});
