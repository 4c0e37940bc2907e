// `proxy check` of listeners that speak TLS and HTTP: what it prints, what it warns of, and what it finds in files.

import { afterAll, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { Authority } from "../support/certificates.ts";
import { runProxy } from "./proxy-process.ts";

const authority = new Authority();
afterAll(() => authority[Symbol.dispose]());

function file(name: string, text: string): string {
  const path = join(authority.folder, name);
  writeFileSync(path, text);
  return path;
}

const { certFile, keyFile } = authority.issue(["example.com"]);
const TLS = `{ cert_file: "${certFile}", key_file: "${keyFile}", ca_file: "${authority.caFile}" }`;

test("a listener of requests is printed route by route, with all that holds for it", async () => {
  const path = file(
    "site.yaml",
    `access_log: "-"
protocols:
  - name: http2
    listen: ":8443"
    tls: ${TLS}
    client_subject_header: x-client
    trusted: ["10.0.0.0/8"]
    allow: ["10.0.0.0/8"]
    compress: true
    limits: { max_body: 10MB, max_requests: 1000, max_per_ip: 20 }
    timeouts: { total: 1h, lifetime: 2h }
    socket: { nodelay: false }
    routes:
      - match:
          { host: api.example.com, path: "/v1/*", methods: [GET, POST], headers: { x-a: "*", x-b: c } }
        targets:
          - "10.0.0.8:8080"
          - { address: "https://10.0.0.9", weight: 2, tls: { insecure_skip_verify: true } }
        balance: least_connections
        health: { type: http, path: /health }
        rewrite: { strip_prefix: /v1, add_prefix: /api }
        headers: { request: { set: { x-env: prod }, remove: [cookie] }, response: { add: { x-a: b } } }
        retries: { attempts: 1, on: [connect, 503] }
        host: target
        compress: false
      - match: { path: /grpc }
        target: "h2c://10.0.0.10:50051"
        retries: { attempts: 0 }
        limits: { max_body: 0 }
        timeouts: { response: 5s, idle: 0, total: 5s }
      - { match: { path: /old }, redirect: { to: /new, status: 301 } }
`,
  );
  const { code, stdout, stderr } = await runProxy("check", path);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toStartWith(`${path} is valid
warning: http2 :8443: certificate of 10.0.0.9:443 is not verified (insecure_skip_verify): anybody may pose as it
`);
  const targets =
    "http://10.0.0.8:8080, https://10.0.0.9:443 (weight 2, NOT VERIFIED (insecure_skip_verify)), least_connections";
  expect(stdout.slice(stdout.indexOf("http2 :8443\n"))).toBe(`http2 :8443
  route               GET or POST api.example.com/v1/* with x-a with x-b: c -> ${targets}
                        asks for /health every 5s, within 1s; down after 3 failures, up after 2 successes
                        tried again: once, on no connection, 503; at most 20% of requests or 10 a second
                        path: without /v1, below /api
                        request: without cookie; x-env: prod
                        response: also x-a: b
                        Host: the target's
  route               /grpc -> h2c://10.0.0.10:50051
                        tried again: never
                        answers compressed
                        gRPC-Web translated to gRPC
                        bodies of any size
                        answer begins within 5s
                        idle: no limit
                        whole exchange: 5s
  route               /old -> 301 to /new
  route               what fits none is answered with 404
  certificate         ${certFile}, key ${keyFile}
  TLS                 1.2 and 1.3, agrees on h2 or http/1.1
  client certificate  required, of ${authority.caFile}
  handshake           within 10s
  allow               10.0.0.0/8
  connections         as many as descriptors allow, 20 from one address
  requests            heads up to 64KB and 128 fields, bodies up to 10MB
  streams             at most 128 at once on an HTTP/2 connection
                      a connection is closed after 1000 requests
  slow clients        at least 240 bytes a second
  head                within 10s
  connect             within 5s
  answer              begins within 1m; whole exchange: 1h
  idle                reset after 5m
  keepalive           1m15s to clients, 1m to targets
  lifetime            closed after 2h, between requests
  targets get         X-Forwarded-For, -Proto, -Host, -Port, X-Real-IP, X-Request-Id, x-client (the client's certificate)
  trusted             10.0.0.0/8
  socket              keepalive 30s
  backpressure        stops at 16KB, goes on at 8KB
  access log          -, json
`);
});

test("a tls listener is printed with its routes, its certificates and the TLS of its targets", async () => {
  const path = file(
    "tls.yaml",
    `tls: ${TLS}
protocols:
  - name: tls
    listen: ":993"
    tls: { client_auth: none, min_version: "1.3" }
    alpn: [imap]
    proxy_protocol: { send: v2 }
    routes:
      - sni: a.example.com
        target: { address: "a.internal:993", tls: { server_name: a, ca_file: "${authority.caFile}" } }
`,
  );
  const { code, stdout, stderr } = await runProxy("check", path);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout.slice(stdout.indexOf("tls :993"))).toBe(`tls :993 -> a.internal:993
  route         who asks for a.example.com -> a.internal:993
  route         who fits none is refused
  certificate   ${certFile}, key ${keyFile}
  TLS           1.3 only, agrees on imap
  handshake     within 10s
  connections   as many as descriptors allow
  targets get   a PROXY header, v2
  target        a.internal:993 over TLS, verified by ${authority.caFile} as a
  connect       within 5s
  idle          for ever
  socket        nodelay, keepalive 30s
  backpressure  stops at 1MB, goes on at 512KB
`);
});

test("files that cannot be used are found, one for each listener, without starting anything", async () => {
  const gone = join(authority.folder, "gone.pem");
  rmSync(gone, { force: true });
  const other = authority.issue(["other.example"], { name: "other" });
  const path = file(
    "files.yaml",
    `protocols:
  - name: http2
    listen: ":8443"
    tls: { cert_file: "${gone}", key_file: "${keyFile}" }
    target: "10.0.0.1:80"
  - name: tls
    listen: ":8444"
    tls: { cert_file: "${certFile}", key_file: "${other.keyFile}" }
    target: "10.0.0.1:80"
  - name: http
    listen: ":8080"
    target: { address: "https://10.0.0.1", tls: { ca_file: "${keyFile}" } }
`,
  );
  const { code, stdout, stderr } = await runProxy("check", path);
  expect([code, stdout]).toEqual([2, ""]);
  const lines = stderr.trimEnd().split("\n");
  expect(lines).toHaveLength(3);
  expect(lines[0]).toBe(`proxy: http2 :8443: ${gone}: the file does not exist. Check the path`);
  expect(lines[1]).toStartWith("proxy: tls :8444: ");
  expect(lines[1]).toContain(other.keyFile);
  expect(lines[2]).toStartWith(`proxy: http :8080: ${keyFile}: `);
});

test("an access log that cannot be opened here is warned of", async () => {
  const check = async (log: string): Promise<string> => {
    const listener = `{ name: http, listen: ":8080", target: "127.0.0.1:80" }`;
    const path = file("logged.yaml", `access_log: "${log}"\nprotocols: [${listener}]\n`);
    const { code, stdout } = await runProxy("check", path);
    expect(code).toBe(0);
    return stdout;
  };
  const missing = join(authority.folder, "missing");
  expect(await check(join(missing, "access.log"))).toContain(`there is no folder ${missing} here`);
  expect(await check(authority.folder)).toContain("is a folder. Name a file in it");
  expect(await check(join(authority.folder, "access.log"))).not.toContain("warning");
});
