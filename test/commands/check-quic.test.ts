// `proxy check` of QUIC listeners and quic:// targets: what it prints, and what it finds in files of tokens.

import { afterAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { Authority } from "../support/certificates.ts";
import { runProxy } from "./proxy-process.ts";

const authority = new Authority();
const { certFile, keyFile } = authority.issue(["example.com"]);
const token = authority.file("token", "0123456789abcdef0123456789abcdef\n");
afterAll(() => authority[Symbol.dispose]());

function configuration(tokenFile: string): string {
  const path = join(authority.folder, "quic.yaml");
  writeFileSync(
    path,
    `tls: { cert_file: "${certFile}", key_file: "${keyFile}" }
protocols:
  - name: quic
    listen: ":4433"
    early_data: true
    quic: { token_file: "${tokenFile}" }
    target: "127.0.0.1:6379"
  - name: tcp
    listen: ":6380"
    target:
      address: "quic://server.example:4433"
      tls: { ca_file: "${authority.caFile}" }
      quic: { alpn: [a, b], driver: quiche, token_file: "${tokenFile}" }
`,
  );
  return path;
}

test("a listener and a target are printed with all that holds for them", async () => {
  const { code, stdout, stderr } = await runProxy("check", configuration(token));
  expect([code, stderr]).toEqual([0, ""]);
  const alive = "gone after 15s without a packet, kept alive every 5s";
  const over = `a or b, driver quiche, ${alive}, token of ${token}`;
  expect(stdout.slice(stdout.indexOf("quic :4433"))).toBe(`quic :4433 -> 127.0.0.1:6379
  certificate   ${certFile}, key ${keyFile}
  TLS           1.3 only, agrees on quic-proxy
  handshake     within 10s
  connections   as many as descriptors allow
  QUIC          driver auto, gone after 30s without a packet, token of ${token}, takes early data (0-RTT), which can be replayed
  streams       at most 256 of one connection
  connect       within 5s
  idle          for ever
  socket        nodelay, keepalive 30s
  backpressure  stops at 1MB, goes on at 512KB

tcp :6380 -> server.example:4433
  connections   as many as descriptors allow
  target        server.example:4433 over QUIC (${over}), verified by ${authority.caFile}
  connect       within 5s
  idle          for ever
  socket        nodelay, keepalive 30s
  backpressure  stops at 1MB, goes on at 512KB
`);
});

test("a token that is too short is found before anything is started", async () => {
  const short = authority.file("short", "secret\n");
  const { code, stdout, stderr } = await runProxy("check", configuration(short));
  expect([code, stdout]).toEqual([2, ""]);
  const wrong = `${short}: the token has 6 bytes, and at least 16 are needed. Make one: openssl rand -hex 32`;
  expect(stderr).toBe(`proxy: quic :4433: ${wrong}\nproxy: tcp :6380: ${wrong}\n`);
});
