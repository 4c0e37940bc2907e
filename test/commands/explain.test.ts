// `proxy explain` as a process: what it prints, for people and for programs, and its exit codes.

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Authority } from "../support/certificates.ts";
import { runProxy } from "./proxy-process.ts";

const authority = new Authority();
const folder = mkdtempSync(join(tmpdir(), "proxy-explain-"));
const { certFile, keyFile } = authority.issue(["*.example.com"]);
const config = join(folder, "proxy.yaml");
writeFileSync(
  config,
  `admin: { listen: "127.0.0.1:9090" }
protocols:
  - name: http2
    listen: ":8443"
    tls: { cert_file: "${certFile}", key_file: "${keyFile}" }
    limits: { max_body: 1MB }
    routes:
      - match: { host: api.example.com, path: "/v1/*" }
        targets: ["10.0.0.8:80", "10.0.0.9:80"]
        headers: { request: { set: { x-env: prod } } }
      - { match: { headers: { x-a: "1", x-b: "*" } }, redirect: { to: "https://b.example" } }
  - { name: udp, listen: ":53", target: "10.0.0.53:53" }
  - { name: tcp, listen: ":22", target: "10.0.0.1:22", enabled: false }
`,
);
afterAll(() => {
  authority[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

test("the way of a request is printed, then what holds, then why nothing else", async () => {
  const url = "https://api.example.com:8443/v1/users";
  const { code, stdout, stderr } = await runProxy("explain", "-config", config, url);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toStartWith(`${url} from 127.0.0.1

  listener     http2 :8443
  certificate  ${certFile}, for *.example.com
  speaks       h2
  route 1      api.example.com/v1/* -> http://10.0.0.8:80, http://10.0.0.9:80, round_robin
                 tried again: twice, on no connection
                 request: x-env: prod
  targets      10.0.0.8:80, 10.0.0.9:80, round_robin
  left out     after 3 failures in a row, for 1s, each time twice as long, up to 30s
  sent         GET /v1/users
               host: api.example.com:8443
`);
  expect(stdout).toContain("  supposed     api.example.com is supposed to lead to this machine");
  expect(stdout).toContain("2  with x-a: 1 with x-b  it wants x-a: 1; it wants the field x-b");
  expect(stdout).toMatch(/What holds for http2 :8443\n[^]*requests +heads [^\n]*bodies up to 1MB/);
  expect(stdout).toEndWith(`Other listeners
  udp :53               its port is 53, not 8443; it is served over UDP alone, and this comes over TCP
  tcp :22               it is disabled
  admin 127.0.0.1:9090  it tells about this proxy, and forwards nothing
`);
});

test("fields may be given several times, and choose a route", async () => {
  const { code, stdout } = await runProxy(
    "explain",
    "-config",
    config,
    "-header",
    "x-a: 1",
    "-header=x-b:2",
    "https://a.example.com:8443/c",
  );
  expect(code).toBe(0);
  expect(stdout).toContain("answered     by this proxy, 308 to https://b.example/c");
});

test("programs get JSON, with the parts of the plan that hold", async () => {
  const url = "https://api.example.com:8443/v1/users";
  const { code, stdout } = await runProxy("explain", "-json", "-config", config, url);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    question: { url, client: "127.0.0.1", sni: "api.example.com" },
    taken: true,
    listeners: [{ listener: "http2 :8443", outcome: "takes" }, { outcome: "elsewhere" }],
    found: {
      listener: "http2 :8443",
      tls: { alpn: "h2" },
      routes: [{ chosen: true }, { chosen: false, rule: "with x-a: 1 with x-b" }],
      group: { balance: "round_robin", targets: [{ scheme: "http" }, { weight: 1 }] },
      limits: { bodyBytes: 1024 * 1024 },
      timeouts: { connectMs: 5_000 },
      request: { method: "GET", path: "/v1/users" },
    },
  });
});

test("nothing that takes it is exit code 1, with what comes nearest", async () => {
  const nobody = await runProxy("explain", "-config", config, "udp://a.example:54");
  expect(nobody.code).toBe(1);
  expect(nobody.stdout).toContain(
    "nothing takes it; udp :53 comes nearest. To ask for that one: udp://a.example:53\n",
  );
  const refused = await runProxy("explain", "-config", config, "https://c.example.com:8443/");
  expect(refused.code).toBe(1);
  expect(refused.stdout).toContain("refused      no route fits");
  expect(refused.stdout).toContain("answered     by this proxy, 404");
});

test("flags of a run are explained like a file", async () => {
  const flags = ["-listen", ":8080", "-target", "127.0.0.1:80"];
  const { code, stdout } = await runProxy("explain", ...flags, "tcp://localhost:8080");
  expect(code).toBe(0);
  expect(stdout).toContain("target    127.0.0.1:80");
});

test.each([
  [[], /^proxy: URL is missing\. Write proxy explain URL\n/],
  [["tcp://a.example:1"], /there is no configuration to explain/],
  [["-config", config, "gopher://a"], /is not a URL that is known here/],
  [["-config", config, "-listen", ":1", "tcp://a:1"], /-listen cannot be given together/],
  [["-config", config, "-method", "A", "-method", "B", "http://a"], /-method is given twice/],
])("usage is exit code 2: %j", async (words, expected) => {
  const { code, stdout, stderr } = await runProxy("explain", ...words);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(expected);
});
