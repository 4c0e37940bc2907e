// What `explain` says of configurations: where things go, what is refused, and why nothing else applies. That it is what a
// running proxy does is asked in running.test.ts.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import type { QuestionOptions } from "../../src/explain/question.ts";
import { ProxyError } from "../../src/shared/errors.ts";
import { ask, planOf, summary } from "./plans.ts";

const TLS = "tls: { cert_file: /c.pem, key_file: /k.pem }";
const PLAN = planOf(`
protocols:
  - name: http2
    listen: ":8443"
    ${TLS}
    deny: ["192.0.2.0/24"]
    routes:
      - { match: { host: api.example.com, path: "/v1/*", methods: [POST] }, target: "10.0.0.1:80" }
      - match: { host: api.example.com, path: "/v1/*" }
        targets: ["http://10.0.0.8:8080", "http://10.0.0.9:8080"]
        headers: { request: { set: { x-env: prod }, remove: [cookie] } }
      - { match: { host: old.example.com }, redirect: { to: "https://new.example.com", status: 308 } }
      - { match: { path: /x, headers: { x-a: "1" } }, target: "10.0.0.2:80", limits: { max_body: 1KB } }
  - name: tcp
    listen: ":443"
    routes:
      - { sni: db.example.com, target: "10.0.0.5:5432" }
      - { sni: "*.apps.example.com", alpn: [h2], target: "10.0.0.6:443" }
  - { name: udp, listen: ":53", target: "10.0.0.53:53" }
  - { name: tcp, listen: "127.0.0.1:5432", target: "10.0.0.7:5432", allow: ["127.0.0.1"] }
  - { name: tcp, listen: "10.0.0.100:5432", target: "unix:/run/db.sock" }
  - { name: http, listen: "[::1]:80", target: "h2c://10.0.0.3:80" }
  - name: tls
    listen: ":636"
    ${TLS}
    alpn: [ldap]
    proxy_protocol: { accept: v2, trusted: ["10.0.0.0/8"] }
    allow: ["198.51.100.0/24"]
    target: "10.0.0.4:389"
  - { name: http3, listen: "0.0.0.0:9443", ${TLS}, target: "10.0.0.9:80" }
  - { name: quic, listen: ":4433", ${TLS}, alpn: [relay], target: "10.0.0.10:6379" }
  - name: tcp
    listen: ":3306"
    targets: ["10.1.0.1:1", "10.1.0.2:1", "10.1.0.3:1", { address: "10.1.0.4:1", backup: true }]
    balance: source_hash
  - { name: tcp, listen: "unix:/run/x.sock", target: "10.0.0.1:1" }
`);

const api = (path: string): string => `https://api.example.com:8443${path}`;

describe("a question and what becomes of it", () => {
  const cases: readonly [url: string, options: QuestionOptions, expected: string][] = [
    [api("/v1/a"), {}, "http2 :8443: to one of 2"],
    [api("/v1"), { method: "POST" }, "http2 :8443: to 10.0.0.1:80"],
    [api("/v2"), {}, "http2 :8443: 404, no route fits"],
    [
      api("/v1/a"),
      { client: "192.0.2.9" },
      "http2 :8443: refused, the client 192.0.2.9 is in deny (192.0.2.0/24)",
    ],
    ["https://old.example.com:8443/a?b", {}, "http2 :8443: 308 https://new.example.com/a?b"],
    ["https://a.example:8443/x", { headers: ["X-A: 1"] }, "http2 :8443: to 10.0.0.2:80"],
    [
      "https://a.example:8443/x",
      { headers: ["x-a:1", "content-length:1025"] },
      "http2 :8443: 413, its body is larger than 1024 bytes",
    ],
    [
      "https://a.example:8443/x",
      { headers: ["host: b.example"] },
      "http2 :8443: 421, no route fits, and its host is not the name of its connection",
    ],
    [api("/v1/a"), { method: "TRACE" }, "http2 :8443: 405, TRACE and CONNECT are not forwarded"],
    [
      api("/v1%2Fa"),
      {},
      "http2 :8443: 400, its path or host means different things to different programs",
    ],
    [
      "http://api.example.com:8443/",
      {},
      "http2 :8443: refused, it speaks TLS, and http:// is in clear",
    ],
    [
      "tls://a.example:8443",
      {},
      "http2 :8443: refused, it answers requests, and tls:// is none. Ask for https://",
    ],
    [
      api("/v1/a"),
      { alpn: "spdy" },
      "http2 :8443: refused, it agrees on h2 or http/1.1 (ALPN), and the client offers spdy",
    ],
    ["https://db.example.com/", {}, "tcp :443: to 10.0.0.5:5432"],
    ["https://10.0.0.1/", { sni: "DB.example.com" }, "tcp :443: to 10.0.0.5:5432"],
    ["https://a.apps.example.com/", {}, "tcp :443: to 10.0.0.6:443"],
    ["tls://a.apps.example.com:443", {}, "tcp :443: refused, no route is for a.apps.example.com"],
    [
      "tls://db.example.com:443",
      { sni: "-" },
      "tcp :443: refused, no route is for a client that names no server",
    ],
    [
      "tcp://db.example.com:443",
      {},
      "tcp :443: refused, no route is for a client that names no server",
    ],
    ["udp://a.example:53", {}, "udp :53: to 10.0.0.53:53"],
    ["tcp://a.example:53", {}, "nobody, udp :53 is nearest"],
    ["tcp://localhost:5432", {}, "tcp 127.0.0.1:5432: to 10.0.0.7:5432"],
    ["tcp://10.0.0.100:5432", {}, "tcp 10.0.0.100:5432: to unix:/run/db.sock"],
    ["tcp://db.example.com:5432", {}, "tcp 10.0.0.100:5432: to unix:/run/db.sock"],
    ["tcp://db.example.com:5432", { address: "127.0.0.1" }, "tcp 127.0.0.1:5432: to 10.0.0.7:5432"],
    [
      "tcp://127.0.0.1:5432",
      { client: "::1" },
      "tcp 127.0.0.1:5432: refused, the client ::1 is not in allow (127.0.0.1)",
    ],
    ["tcp://10.0.0.101:5432", {}, "nobody, tcp 127.0.0.1:5432 is nearest"],
    ["http://localhost/", {}, "http [::1]:80: to 10.0.0.3:80"],
    ["http://127.0.0.1/", {}, "nobody, http [::1]:80 is nearest"],
    [
      "https://[::1]:80/",
      {},
      "http [::1]:80: refused, http is in clear here: it has no certificate",
    ],
    ["tls://a.example:636", { client: "198.51.100.7" }, "tls :636: to 10.0.0.4:389"],
    [
      "tls://a.example:636",
      {},
      "tls :636: refused, the client 127.0.0.1 is not in allow (198.51.100.0/24)",
    ],
    [
      "tcp://a.example:636",
      { client: "198.51.100.7" },
      "tls :636: refused, it speaks TLS, and tcp:// is in clear",
    ],
    ["h3://a.example:9443/", {}, "http3 0.0.0.0:9443: to 10.0.0.9:80"],
    ["https://a.example:9443/", {}, "http3 0.0.0.0:9443: to 10.0.0.9:80"],
    ["h3://[::1]:9443/", {}, "nobody, http3 0.0.0.0:9443 is nearest"],
    ["quic://a.example:4433", {}, "quic :4433: to 10.0.0.10:6379"],
    ["udp://a.example:4433", {}, "quic :4433: refused, it speaks QUIC. Ask for quic://"],
    [
      "h3://a.example:4433/",
      {},
      "quic :4433: refused, it agrees on relay (ALPN), and the client offers h3",
    ],
    [
      "quic://a.example:9443",
      {},
      "http3 0.0.0.0:9443: refused, it answers requests, and quic:// is none. Ask for h3://",
    ],
  ];
  test.each(cases)("%s with %j", (url, options, expected) => {
    expect(summary(ask(PLAN, url, options))).toBe(expected);
  });
});

test("each other route says what it wanted", () => {
  const { found } = ask(PLAN, api("/v1/a"));
  expect(found!.routes.map(({ chosen, reason }) => (chosen ? "chosen" : reason))).toEqual([
    "it is for POST",
    "chosen",
    "it is for old.example.com, and this asks api.example.com:8443",
    "it is for the path /x; it wants x-a: 1",
  ]);
  const named = ask(PLAN, "tls://db.example.com:443").found!;
  expect(named.routes.map(({ reason }) => reason)).toEqual([
    null,
    "it is for *.apps.example.com, and the client asks for db.example.com; " +
      "it is for h2 (ALPN), and the client offers nothing",
  ]);
});

test("a route that fits behind the one that decides says so", () => {
  const plan = planOf(`
protocols:
  - name: http
    listen: ":80"
    routes:
      - { match: { path: "/a/*" }, target: "10.0.0.1:80" }
      - { match: { methods: [GET] }, target: "10.0.0.2:80" }
`);
  const { found } = ask(plan, "http://a.example/a/b");
  expect(found!.routes[1]!.reason).toBe("route 1 stands before it, and decides");
});

test("each other listener says why it is not asked", () => {
  const reasons = ask(PLAN, "h3://a.example:443/").listeners.map(({ reason }) => reason);
  expect(reasons.slice(0, 3)).toEqual([
    "its port is 8443, not 443; it is served over TCP, and this comes over UDP",
    "it is served over TCP, and this comes over UDP",
    "its port is 53, not 443",
  ]);
  expect(reasons.at(-1)).toBe("it listens on a unix socket, unix:/run/x.sock");
});

test("what the target would be sent is told field by field", () => {
  const headers = ["cookie: a", "x-forwarded-for: 8.8.8.8", "accept: */*"];
  const { found } = ask(PLAN, api("/v1/a?b=1"), { headers, client: "198.51.100.1" });
  expect(found!.request).toEqual({
    method: "GET",
    path: "/v1/a?b=1",
    fields: [
      ["host", "api.example.com:8443"],
      ["accept", "*/*"],
      ["x-forwarded-for", "198.51.100.1"],
      ["x-forwarded-proto", "https"],
      ["x-forwarded-host", "api.example.com:8443"],
      ["x-forwarded-port", "8443"],
      ["x-real-ip", "198.51.100.1"],
      ["x-env", "prod"],
      ["x-request-id", "(made for each request)"],
    ],
  });
});

test("a client keeps its target by source_hash, and never gets a backup", () => {
  const targets = Array.from({ length: 50 }, (_, i) => {
    return ask(PLAN, "tcp://a.example:3306", { client: `198.51.100.${i}` }).found!.target;
  });
  expect(new Set(targets).size).toBe(3);
  expect(targets).not.toContain("10.1.0.4:1");
});

test("what was supposed is told", () => {
  const named = ask(PLAN, "tcp://db.example.com:5432").found!.notes;
  expect(named).toEqual([
    "db.example.com is supposed to lead to 10.0.0.100 (-address says another)",
  ]);
  const behind = ask(PLAN, "tls://127.0.0.1:636", { client: "198.51.100.7" }).found!.notes;
  expect(behind).toEqual([
    "a proxy in front, one of proxy_protocol.trusted, is supposed to name 198.51.100.7 in its PROXY header",
  ]);
});

describe("the certificate", () => {
  const plan = planOf(`
auto_tls:
  agree_terms: true
  email: a@example.com
  domains: [b.example.com, "*.c.example.com", "box.internal"]
  challenge: dns-01
  dns_provider: cloudflare
protocols:
  - name: http2
    listen: ":443"
    target: "127.0.0.1:80"
  - name: tls
    listen: ":8443"
    target: "127.0.0.1:80"
    tls:
      certificates:
        - { cert_file: /a.pem, key_file: /a.key }
        - { cert_file: /b.pem, key_file: /b.key }
`);
  const files = new Map([
    ["/a.pem", { names: ["a.example.com"] }],
    ["/b.pem", { names: ["*.example.com"] }],
  ]);
  test.each([
    ["https://b.example.com/", "obtained of letsencrypt, for b.example.com"],
    ["https://x.c.example.com/", "obtained of letsencrypt, for *.c.example.com"],
    ["https://box.internal/", "obtained of this machine's own authority, for box.internal"],
    [
      "https://d.example.com/",
      "obtained of letsencrypt, for b.example.com: the first, since none covers d.example.com",
    ],
    ["tls://a.example.com:8443", "/a.pem, for a.example.com"],
    ["tls://d.example.com:8443", "/b.pem, for *.example.com"],
    [
      "tls://10.0.0.1:8443",
      "/a.pem, for a.example.com: the first, since none covers a client that names nobody",
    ],
  ])("of %s", (url, expected) => {
    expect(ask(plan, url, {}, files).found!.tls!.certificate).toBe(expected);
  });
});

test("whatever is asked is answered, or refused with its cure", () => {
  const part = fc.oneof(
    fc.string({ unit: "binary", maxLength: 20 }),
    fc.constantFrom("a.example", "[::1]"),
  );
  const questions = fc.record({
    scheme: fc.constantFrom("http", "https", "h3", "tcp", "tls", "udp", "quic", ""),
    host: part,
    port: fc.constantFrom(":8443", ":443", ":53", ":4433", "", ":x"),
    path: fc.oneof(part, fc.constantFrom("/", "/v1/%", "/%2e%2e/v1", "/v1/;a/..")),
    header: fc.oneof(
      part,
      fc.constantFrom("host: b", "x-a: 1", "content-length: 5", "upgrade: websocket"),
    ),
    method: fc.constantFrom("GET", "POST", "CONNECT", "\0"),
  });
  let answered = 0;
  fc.assert(
    fc.property(questions, ({ scheme, host, port, path, header, method }) => {
      const isRequest = ["http", "https", "h3"].includes(scheme);
      const options = isRequest ? { headers: [header], method } : {};
      const url = `${scheme}://${host}${port}${isRequest ? path : ""}`;
      try {
        expect(ask(PLAN, url, options).listeners).toHaveLength(PLAN.listeners.length);
        answered++;
      } catch (error) {
        if (!(error instanceof ProxyError)) throw error;
        expect(error.code).toBe("ERR_USAGE");
      }
    }),
    { numRuns: 300 },
  );
  expect(answered).toBeGreaterThan(0);
}, 60_000);
