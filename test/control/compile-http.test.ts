// From configuration to plan, for listeners that speak TLS and HTTP: what wins over what, and what targets mean. Whole plans are
// in test/config/valid.

import { describe, expect, test } from "bun:test";

import { checkSource } from "../../src/config/check.ts";
import { parseSource } from "../../src/config/load.ts";
import { compile } from "../../src/control/compile.ts";
import type { HttpPlan, HttpRoutePlan, TlsPlan } from "../../src/shared/http-plan.ts";

function planOf(text: string) {
  const machine = { platform: "linux", cpus: 1, folder: "/srv", terminal: false } as const;
  return compile(checkSource(parseSource(text, "f")), machine);
}

/** The first listener, an http one with these lines. */
function httpOf(...lines: string[]): HttpPlan {
  const entry = ["name: http", 'listen: ":80"', ...lines].join("\n    ");
  return planOf(`protocols:\n  - ${entry}`).listeners[0] as HttpPlan;
}

function routeOf(...lines: string[]): HttpRoutePlan {
  return httpOf(...lines).routes[0]!;
}

const TARGET = 'target: "a:1"';
const FILES = "cert_file: c.pem, key_file: k.pem";

describe("targets of requests", () => {
  test.each([
    ["a.example:8080", "http", "a.example:8080", false],
    ["a.example:443", "https", "a.example", true],
    ["http://a.example", "http", "a.example", false],
    ["http://a.example:443", "http", "a.example:443", false],
    ["https://a.example:8443", "https", "a.example:8443", true],
    ["https://[::1]", "https", "[::1]", true],
    ["h2://a.example", "h2", "a.example", true],
    ["h2c://a.example", "h2c", "a.example", false],
    ["unix:/run/app.sock", "http", "localhost", false],
    ["h2c://unix:/run/app.sock", "h2c", "localhost", false],
  ] as const)("%s is spoken to by %s, as %s", (address, scheme, authority, secure) => {
    const [target] = httpOf(`target: "${address}"`).groups[0]!.targets;
    expect(target).toMatchObject({ scheme, authority, weight: 1, backup: false });
    expect(target!.tls).toEqual(
      secure ? { serverName: null, caFile: null, certificate: null, insecure: false } : null,
    );
  });

  test("a path and its query do not belong to a unix socket's URL", () => {
    const [target] = httpOf('target: "http://unix:/run/a.sock"').groups[0]!.targets;
    expect(target!.endpoint).toEqual({ kind: "unix", path: "/run/a.sock" });
  });
});

describe("routes", () => {
  test("the listener's own target is the last one, which fits all", () => {
    const { routes, groups } = httpOf(
      'routes: [{ match: { path: /b }, target: "b:1" }, { match: { path: /c }, redirect: { to: /d } }]',
      TARGET,
    );
    expect(routes.map(({ match, group }) => [match.path, group])).toEqual([
      ["/b", 0],
      ["/c", null],
      [null, 1],
    ]);
    expect(groups.map(({ targets }) => targets[0]!.authority)).toEqual(["b:1", "a:1"]);
  });

  test("a redirect is permanent and keeps the method unless told otherwise", () => {
    expect(routeOf('redirect: { to: "https://{host}" }').redirect).toEqual({
      to: "https://{host}",
      status: 308,
    });
  });

  test("hosts are compared in lower case and ASCII, without the dot at their end", () => {
    const hosts = ["*.Bücher.example", "A.example.", "[::1]", "10.0.0.1"];
    const routes = hosts.map((host) => `{ match: { host: "${host}" }, target: "b:1" }`);
    const plan = httpOf(`routes: [${routes.join(", ")}]`);
    expect(plan.routes.map(({ match }) => match.host)).toEqual([
      "*.xn--bcher-kva.example",
      "a.example",
      "[::1]",
      "10.0.0.1",
    ]);
  });

  test("what stands beside the listener's target is the default of its routes", () => {
    const { routes } = httpOf(
      "compress: true",
      "host: target",
      "retries: { attempts: 1, on: [503] }",
      "rewrite: { strip_prefix: /a }",
      "routes:",
      '  - { match: { path: /a/b }, target: "b:1" }',
      "  - match: { path: /a/c }",
      '    target: "c:1"',
      "    compress: false",
      "    host: client",
      "    retries: { attempts: 0 }",
      "    rewrite: { add_prefix: /d }",
    );
    const [inherits, own] = routes;
    expect(inherits).toMatchObject({
      compress: true,
      host: "target",
      retries: { attempts: 1, connect: false, statuses: [503] },
      rewrite: { stripPrefix: "/a", addPrefix: "" },
    });
    expect(own).toMatchObject({
      compress: false,
      host: "client",
      retries: { attempts: 0 },
      rewrite: { stripPrefix: "", addPrefix: "/d" },
    });
  });

  test("changes of fields add up, and the route's win", () => {
    const { request } = routeOf(
      "headers: { request: { set: { X-A: listener, x-b: listener }, add: { x-c: one, x-d: one }, remove: [x-e] } }",
      "routes:",
      "  - match: { path: /r }",
      '    target: "b:1"',
      "    headers: { request: { set: { x-a: route, x-e: route }, add: { x-c: two }, remove: [x-b, x-d] } }",
    );
    expect(request).toEqual({
      set: [
        { name: "x-a", value: "route" },
        { name: "x-e", value: "route" },
      ],
      add: [
        { name: "x-c", value: "one" },
        { name: "x-c", value: "two" },
      ],
      remove: ["x-b", "x-d"],
    });
  });

  test("a route's own host wins over a Host that the listener sets", () => {
    const lines = (host: string): string[] => [
      "headers: { request: { set: { Host: app.internal } } }",
      `routes: [{ match: { path: /r }, target: "b:1"${host} }]`,
    ];
    expect(routeOf(...lines("")).request.set).toEqual([{ name: "host", value: "app.internal" }]);
    expect(routeOf(...lines(", host: target")).request.set).toEqual([]);
  });
});

test("a route's own limits and timeouts stand instead of the listener's, one by one", () => {
  const { routes } = httpOf(
    "limits: { max_body: 1MB }",
    "timeouts: { response: 10s, idle: 1m }",
    'routes: [{ match: { path: /ws }, target: "b:1", limits: { max_body: 0 }, timeouts: { idle: 0 } }]',
    TARGET,
  );
  expect(routes.map(({ limits, timeouts }) => ({ ...limits, ...timeouts }))).toEqual([
    { bodyBytes: 0, responseMs: 10_000, idleMs: 0, totalMs: 0 },
    { bodyBytes: 1_048_576, responseMs: 10_000, idleMs: 60_000, totalMs: 0 },
  ]);
});

describe("gRPC-Web", () => {
  const grpcWeb = (...lines: string[]): boolean => routeOf(...lines).grpcWeb;

  test("is translated where every target speaks HTTP/2, unless told otherwise", () => {
    expect(grpcWeb('target: "h2c://a:1"')).toBe(true);
    expect(grpcWeb('targets: ["h2c://a:1", "h2://b:1"]')).toBe(true);
    expect(grpcWeb('target: "h2c://a:1"', "grpc_web: false")).toBe(false);
    expect(grpcWeb(TARGET)).toBe(false);
    expect(grpcWeb('targets: ["h2c://a:1", "b:1"]')).toBe(false);
  });

  test("a listener's switch and origins are its routes', where they mean something", () => {
    const { routes } = httpOf(
      "grpc_web: true",
      'grpc_web_origins: ["https://a.example"]',
      'routes: [{ match: { path: /g }, target: "h2c://b:1" }]',
      TARGET,
    );
    expect(routes.map(({ grpcWeb: on, grpcWebOrigins }) => [on, grpcWebOrigins])).toEqual([
      [true, ["https://a.example"]],
      [false, []],
    ]);
  });
});

describe("TLS of a listener", () => {
  const tlsOf = (top: string, own: string) =>
    (
      planOf(`${top}\nprotocols: [{ name: tls, listen: ":1", target: "a:1" ${own} }]`)
        .listeners[0] as TlsPlan
    ).tls;
  const TOP = `tls: { ${FILES}, ca_file: ca.pem, min_version: "1.3" }`;
  const pair = (certFile: string, keyFile: string) => ({ certFile, keyFile });

  test("is the top level's where it has none, and key by key where it has", () => {
    expect(tlsOf(TOP, "")).toEqual({
      certificates: [pair("c.pem", "k.pem")],
      clientCaFile: "ca.pem",
      clientAuth: "require",
      managed: false,
      onDemand: false,
      minVersion: "1.3",
      alpn: [],
    });
    expect(tlsOf(TOP, ', tls: { client_auth: request, min_version: "1.2" }')).toMatchObject({
      certificates: [pair("c.pem", "k.pem")],
      clientAuth: "request",
      minVersion: "1.2",
    });
    expect(tlsOf(TOP, ", tls: { client_auth: none }").clientCaFile).toBeNull();
  });

  test("certificates of a listener stand instead of the top level's, its pair first", () => {
    const several = "certificates: [{ cert_file: d.pem, key_file: d.key }]";
    expect(tlsOf(TOP, `, tls: { ${several} }`).certificates).toEqual([pair("d.pem", "d.key")]);
    const both = `, tls: { cert_file: e.pem, key_file: e.key, ${several} }`;
    expect(tlsOf(TOP, both).certificates).toEqual([pair("e.pem", "e.key"), pair("d.pem", "d.key")]);
  });

  test("1.2 and later, and no client certificates, unless told otherwise", () => {
    expect(tlsOf(`tls: { ${FILES} }`, "")).toMatchObject({
      clientCaFile: null,
      clientAuth: "none",
      minVersion: "1.2",
    });
  });
});

test("a preset's watermarks, idle time and connections are those of requests too", () => {
  const { buffers, timeouts, limits } = httpOf(TARGET, "preset: server");
  expect(buffers.highWatermarkBytes).toBe(2 * 1024 * 1024);
  expect([timeouts.idleMs, limits.maxConnections]).toEqual([300_000, 10_000]);
});

test("requests are logged only where a path or - says so", () => {
  const text = (top: string): string =>
    `${top}\nprotocols: [{ name: http, listen: ":1", target: "a:1" }]`;
  const log = (top: string) => (planOf(text(top)).listeners[0] as HttpPlan).accessLog;
  expect(log("")).toBeNull();
  expect(log('access_log: "off"')).toBeNull();
  expect(log('access_log: "-"')).toEqual({ path: "-", format: "json" });
  expect(log("access_log: a.log\naccess_log_format: combined")).toEqual({
    path: "a.log",
    format: "combined",
  });
});
