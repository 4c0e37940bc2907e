// Programs that no one here wrote, for end-to-end tests. One that is missing skips its tests loudly, with the Debian package
// that brings it; with CI=true it fails them, so that a test cannot vanish unnoticed.

import { test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";

const PACKAGES = {
  caddy: "caddy",
  h2load: "nghttp2-client",
  nghttp: "nghttp2-client",
  nghttpd: "nghttp2-server",
  node: "nodejs",
  gtlsclient: "ngtcp2-client",
  h2spec: "golang-go and run .ci/run, which builds it",
  "quic-peer": "golang-go and run .ci/run, which builds it",
  certutil: "libnss3-tools",
  curl: "curl",
  haproxy: "haproxy",
  openssl: "openssl",
  nginx: "nginx-light",
  chromium: "chromium",
  "google-chrome": "google-chrome-stable",
  "update-ca-certificates": "ca-certificates",
  wrk: "wrk",
  "redis-server": "redis-server",
  "redis-benchmark": "redis-tools",
  "redis-cli": "redis-tools",
  initdb: "postgresql",
  postgres: "postgresql",
  pgbench: "postgresql",
  psql: "postgresql-client",
  dig: "bind9-dnsutils",
  dnsmasq: "dnsmasq-base",
  iperf3: "iperf3",
  pebble: "pebble",
  prometheus: "prometheus",
  promtool: "prometheus",
  "pebble-challtestsrv": "pebble",
  socat: "socat",
  strace: "strace",
  tshark: "tshark",
  python3: "python3",
  systemctl: "systemd",
  "systemd-analyze": "systemd",
  "systemd-socket-activate": "systemd",
} as const;
export type Program = keyof typeof PACKAGES;

/** Places that Debian leaves out of the PATH of users, or of everyone. */
function folders(): string[] {
  const postgres = "/usr/lib/postgresql";
  const versions = existsSync(postgres) ? readdirSync(postgres).toSorted().toReversed() : [];
  const go = `${process.env.HOME ?? ""}/go/bin`;
  return [...versions.map((version) => `${postgres}/${version}/bin`), "/usr/sbin", "/sbin", go];
}

export function findProgram(name: Program): string | null {
  const PATH = [process.env.PATH ?? "", ...folders()].join(":");
  return Bun.which(name, { PATH });
}

/** The path of a program whose presence `testWith` has made sure of. */
export function program(name: Program): string {
  const path = findProgram(name);
  if (path === null) throw new Error(`${name} is missing: apt-get install ${PACKAGES[name]}`);
  return path;
}

/** A test that needs these programs. */
export function testWith(
  needed: readonly Program[],
  name: string,
  run: () => Promise<void>,
  timeoutMs = 60_000,
): void {
  const missing = needed.filter((each) => findProgram(each) === null);
  if (missing.length === 0 || process.env.CI === "true") {
    test(
      name,
      () => {
        missing.forEach(program); // names the package and fails
        return run();
      },
      timeoutMs,
    );
    return;
  }
  const packages = [...new Set(missing.map((each) => PACKAGES[each]))].join(" ");
  process.stderr.write(
    `SKIPPED "${name}": ${missing.join(", ")} missing, apt-get install ${packages}\n`,
  );
  test.skip(name, () => {});
}
