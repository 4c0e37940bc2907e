// The scalars of HTTP in a configuration: whatever is written, what passes can be put on the wire as it is.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { checkGrammar } from "../../src/config/check.ts";
import { parseHostPattern } from "../../src/config/http-fields.ts";
import type { Source } from "../../src/config/problems.ts";
import type { RouteConfig } from "../../src/config/schema-http.ts";
import { compileFieldEdit } from "../../src/protocols/http/route/field-edit.ts";
import { Redirect } from "../../src/protocols/http/route/redirect.ts";
import { RouteTable } from "../../src/protocols/http/route/table.ts";
import { ProxyError } from "../../src/shared/errors.ts";
import { connection, match, requestHead } from "../protocols/http/route/heads.ts";

/** What a route with this key and value is; undefined if it is refused. */
function routeWith(value: object): RouteConfig | undefined {
  const route = "redirect" in value ? value : { target: "a:1", ...value };
  const source: Source = {
    value: { protocols: [{ name: "http", listen: ":80", routes: [route] }] },
    place: () => ({ text: "f", order: 0 }),
  };
  const checked = checkGrammar(source);
  return "config" in checked ? checked.config.protocols[0]!.routes![0] : undefined;
}

/** Texts that come near to what is meant, and texts that do not. */
const near = (alphabet: string) =>
  fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...alphabet), maxLength: 12 }));

describe("hosts", () => {
  test("a pattern is read to itself, and the gateway takes it", () => {
    let valid = 0;
    fc.assert(
      fc.property(near("ab.*-:[]/ü1"), (written) => {
        let pattern: string;
        try {
          pattern = parseHostPattern(written);
        } catch (error) {
          return expect(error).toBeInstanceOf(ProxyError);
        }
        valid++;
        expect(parseHostPattern(pattern)).toBe(pattern);
        expect(() => new RouteTable([match({ host: pattern })])).not.toThrow();
      }),
      { numRuns: 2_000 },
    );
    expect(valid).toBeGreaterThan(100);
  });

  test.each([
    ["EXAMPLE.com", "example.com"],
    ["example.com.", "example.com"],
    ["*.Example.com", "*.example.com"],
    ["::1", "[::1]"],
    ["[2001:DB8::1]", "[2001:db8::1]"],
    ["192.0.2.1", "192.0.2.1"],
    ["localhost", "localhost"],
    ["münchen.example", "xn--mnchen-3ya.example"],
  ])("%s is %s", (written, pattern) => expect(parseHostPattern(written)).toBe(pattern));
});

const paths = fc
  .array(
    fc.constantFrom(
      "/a",
      "/b.c",
      "%2f",
      "%41",
      "/..",
      "/.",
      "/...",
      "*",
      ";x",
      "%3b",
      "%5c",
      "%00",
      "/",
      "a",
    ),
    {
      maxLength: 5,
    },
  )
  .map((parts) => `/a${parts.join("")}`);

test("a path that passes is one that the gateway can compare", () => {
  let valid = 0;
  fc.assert(
    fc.property(fc.oneof(near("/a*%2f.?#\\ü;"), paths), (path) => {
      const route = routeWith({ match: { path } });
      if (route === undefined) return;
      valid++;
      expect(() => new RouteTable([match({ path: route.match!.path![0]! })])).not.toThrow();
    }),
    {
      numRuns: 2_000,
      examples: [["/a/..;x/..;x"], ["/a/..;x/..%2f"], ["/a%00"], ["/..%5c.."], ["/a/.;/..;b"]],
    },
  );
  expect(valid).toBeGreaterThan(100);
});

test("a field's name that is a word of JavaScript is one as any other, or refused", () => {
  const set = JSON.parse('{ "constructor": "a", "toString": "b" }') as object;
  expect(routeWith({ headers: { request: { set } } })!.headers!.request!.set).toEqual({
    constructor: "a",
    toString: "b",
  } as never);
  const lost = JSON.parse('{ "__proto__": "a" }') as object;
  expect(routeWith({ headers: { request: { set: lost } } })).toBeUndefined();
});

test("fields that pass are ones that the gateway writes, on one line", () => {
  let valid = 0;
  fc.assert(
    fc.property(near("abX-:;="), near("ab \t\r\n\0é"), (name, value) => {
      const route = routeWith({ headers: { response: { set: { [name]: value } } } });
      if (route === undefined) return;
      valid++;
      const set = [{ name: name.toLowerCase(), value: route.headers!.response!.set![name]! }];
      const { fields } = compileFieldEdit({ set, add: [], remove: [] });
      for (const byte of [0x0a, 0x0d, 0x00]) expect(fields[0]!.value.includes(byte)).toBe(false);
    }),
    { numRuns: 2_000 },
  );
  expect(valid).toBeGreaterThan(100);
});

test.each([
  "https://{path}",
  "https://{host}.example",
  "https://a.{host}",
  "https://",
  "{scheme}://{scheme}",
  "https://a b",
  "{path}",
  "//a.example",
  "javascript:alert(1)",
])("a redirect to %s is refused", (to) => {
  expect(routeWith({ redirect: { to } })).toBeUndefined();
});

test.each([
  "https://{host}",
  "https://{host}:8443{path}",
  "{scheme}://new.example/old{path}",
  "https://[::1]:8443",
  "/new",
  "/new{path}",
  "https://new.example/?from={host}{path}",
])("a redirect to %s is one", (to) => {
  expect(routeWith({ redirect: { to } })?.redirect?.to).toBe(to);
});

test.each(["//a", "/a//b", "/a/../b", "/./a", "/a/..", "/%2e%2e/a"])(
  "the path %s is refused, since no request's path is compared so",
  (path) => expect(routeWith({ match: { path } })).toBeUndefined(),
);

test("a redirect that passes leads to a URL, whatever is asked for", () => {
  let valid = 0;
  const parts = fc.array(
    fc
      .constantFrom("https://", "http://", "{scheme}://", "a.example", "{host}", ":8443", "/", "/b")
      .chain((part) => fc.constantFrom(part, part, part, "{path}", "\r\n", "{", "?x=1", " ")),
    { minLength: 1, maxLength: 5 },
  );
  fc.assert(
    fc.property(
      parts.map((all) => all.join("")),
      near("/ab?\\"),
      (to, path) => {
        const source = routeWith({ redirect: { to } });
        if (source === undefined) return;
        valid++;
        const head = requestHead({
          authority: "c.example",
          path: `/${path.replace(/[^!-~]/g, "")}`,
        });
        const location = new Redirect({ to, status: 308 }).location(head, connection())!;
        expect(location).toMatch(/^(https?:\/\/|\/)[!-~]*$/);
        expect(URL.canParse(location, "http://c.example/")).toBe(true);
      },
    ),
    { numRuns: 2_000 },
  );
  expect(valid).toBeGreaterThan(20);
});
