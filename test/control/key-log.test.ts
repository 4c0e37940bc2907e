// SSLKEYLOGFILE: keys go to a file that only its owner reads, and the log says so.

import { expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { keyLogPath } from "../../src/control/key-log.ts";
import { pickDriver } from "../../src/protocols/quic/pick.ts";
import { silentLog } from "../../src/shared/log.ts";
import { startWith } from "../commands/proxy-process.ts";
import { clientOptions, connect } from "../protocols/quic/harness.ts";
import { Authority } from "../support/certificates.ts";
import { freePort } from "../support/daemon.ts";
import { TestHost } from "../support/gateway-host.ts";
import { until, within } from "../support/until.ts";

test("without it, or empty, nothing is logged", () => {
  expect(keyLogPath({}, silentLog)).toBeNull();
  expect(keyLogPath({ SSLKEYLOGFILE: "" }, silentLog)).toBeNull();
});

test("a file that cannot be written is told of, and does not keep the proxy from starting", () => {
  const warnings: string[] = [];
  const log = {
    ...silentLog,
    warn: (_: unknown, message?: string) => void warnings.push(message!),
  };
  expect(keyLogPath({ SSLKEYLOGFILE: "/nowhere/at/all" }, log)).toBeNull();
  expect(warnings).toEqual(["SSLKEYLOGFILE cannot be written: no keys are logged"]);
});

test("keys of QUIC connections are appended to it, with a warning", async () => {
  using authority = new Authority();
  const { certFile, keyFile } = authority.issue(["localhost"], { name: "server" });
  const [port, path] = [await freePort(), join(authority.folder, "keys")];
  const file = join(authority.folder, "proxy.yaml");
  const tls = { cert_file: certFile, key_file: keyFile };
  const quic = { name: "quic", listen: `127.0.0.1:${port}`, target: "127.0.0.1:1", tls };
  writeFileSync(file, JSON.stringify({ protocols: [quic] })); // which is YAML
  const proxy = startWith({ env: { SSLKEYLOGFILE: path } }, "-config", file, "-log-format", "json");
  await proxy.line(/"msg":"keys of QUIC connections are written to SSLKEYLOGFILE/);
  await proxy.line(/"msg":"started"/);
  const driver = pickDriver("auto", new TestHost());
  const address = { kind: "ip", host: "127.0.0.1", port } as const;
  const options = { alpn: ["quic-proxy"], insecure: true, certificates: null };
  const told = await connect(driver, clientOptions(address, options));
  const found = (): boolean => readFileSync(path, "latin1").includes("CLIENT_TRAFFIC_SECRET_0 ");
  await until("the keys", found);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  told.connection.destroy();
  proxy.kill("SIGTERM");
  await within("the proxy's end", proxy.outcome, 20_000);
});
