// The executable as a user gets it: built for this machine, run in an empty folder with an empty environment.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import manifest from "../../package.json" with { type: "json" };
import { loadBinding } from "../../src/protocols/quic/quiche/binding.ts";
import { Authority } from "../support/certificates.ts";
import { freePort } from "../support/daemon.ts";
import { Datagrams } from "../support/udp.ts";
import { Wire, WireServer } from "../support/wire.ts";

const MESSAGE = new Uint8Array(1 << 20).map((_, i) => i * 31 + (i >>> 8));
const windows = process.platform === "win32";
const script = Bun.fileURLToPath(new URL("../../scripts/build.ts", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "proxy-build-"));
const empty = join(directory, "empty");
const executable = join(directory, windows ? "proxy.exe" : "proxy");

/** The package of the QUIC driver quiche is for this machine. */
const hasAddon = !(loadBinding() instanceof Error);

// Windows finds its sockets through SystemRoot.
const env: Record<string, string> = windows ? { SystemRoot: process.env.SystemRoot ?? "" } : {};

function run(...args: string[]): { code: number; output: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([executable, ...args], {
    cwd: empty,
    env,
  });
  return { code: exitCode, output: `${stdout.toString()}${stderr.toString()}` };
}

beforeAll(() => {
  mkdirSync(empty);
  const built = Bun.spawnSync([process.execPath, script, "--host", "--out", directory]);
  if (built.exitCode !== 0) throw new Error(built.stderr.toString());
}, 60_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("the build leaves the executable, its copy named after the platform, and its sum", () => {
  const names = readdirSync(directory).filter((name) => name !== "empty");
  const named = names.find((name) => name.startsWith("proxy-"))!;
  expect(names.toSorted()).toEqual(
    ["SHA256SUMS", executable.slice(directory.length + 1), named].toSorted(),
  );
  const sum = createHash("sha256")
    .update(readFileSync(join(directory, named)))
    .digest("hex");
  expect(readFileSync(join(directory, "SHA256SUMS"), "utf8")).toBe(`${sum}  ${named}\n`);
});

test("-version starts a worker and tells the engine", () => {
  const { code, output } = run("-version");
  expect(output).toContain(`${manifest.name} ${manifest.version}\n`);
  expect(output).toContain(`bun       ${Bun.version}\n`);
  expect(output).toMatch(/^engine {4}(uring|epoll|bun)\b/m);
  expect(code).toBe(0);
});

test("an unknown flag ends with exit code 2", () => {
  const { code, output } = run("-lisen", ":8080");
  expect(output).toContain("-listen");
  expect(code).toBe(2);
});

test("the dashboard is in it", async () => {
  const port = await freePort();
  const flags = ["-listen=127.0.0.1:0", "-target=127.0.0.1:9", `-admin=127.0.0.1:${port}`];
  const proxy = Bun.spawn([executable, ...flags, "-log-format=json"], {
    cwd: empty,
    env,
    stdout: "ignore",
    stderr: "pipe",
  });
  await listeningPort(proxy.stderr);
  const page = await fetch(`http://127.0.0.1:${port}/`);
  expect([page.status, page.headers.get("content-type")]).toEqual([
    200,
    "text/html; charset=utf-8",
  ]);
  expect(await page.text()).toContain("/api/stream");
  proxy.kill("SIGTERM");
  await proxy.exited;
});

test("files of other programs in the working directory change nothing", () => {
  const stray = join(directory, "stray");
  mkdirSync(stray);
  writeFileSync(join(stray, "bunfig.toml"), 'preload = ["./not-there.ts"]\n');
  writeFileSync(join(stray, ".env"), "BUN_OPTIONS=--no-such-option\nNODE_ENV=test\n");
  writeFileSync(join(stray, "package.json"), "{ this is not JSON");
  writeFileSync(join(stray, "tsconfig.json"), "{ this is not JSON");
  const { exitCode, stdout } = Bun.spawnSync([executable, "-version"], { cwd: stray, env });
  expect(stdout.toString()).toContain(`${manifest.name} ${manifest.version}\n`);
  expect(exitCode).toBe(0);
  rmSync(stray, { recursive: true });
});

/** The port in the `listening` line of a proxy's JSON log. */
function listeningPort(log: ReadableStream<Uint8Array>): Promise<number> {
  return listening(log, "(\\d+)");
}

/** @param wanted the port; a pattern: of any listener that fits. */
async function listening(
  log: ReadableStream<Uint8Array>,
  wanted: number | string,
): Promise<number> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of log.values({ preventCancel: true })) {
    text += decoder.decode(chunk, { stream: true });
    const found = new RegExp(`"listen":"127\\.0\\.0\\.1:${wanted}"`).exec(text);
    if (found !== null) return Number(found[1] ?? wanted);
  }
  throw new Error(`the proxy ended before it listened: ${text}`);
}

test("it forwards datagrams: the gateway worker is in it too", async () => {
  await using target = await Datagrams.echo();
  const listen = ["-protocol=udp", "-listen=127.0.0.1:0", `-target=${target.target}`];
  const proxy = Bun.spawn([executable, ...listen, "-log-format=json"], {
    cwd: empty,
    env,
    stdout: "ignore",
    stderr: "pipe",
  });
  const port = await listeningPort(proxy.stderr);
  await using client = await Datagrams.open();
  const { data } = await client.ask(MESSAGE.subarray(0, 9_000), { host: "127.0.0.1", port });
  expect(data.equals(MESSAGE.subarray(0, 9_000))).toBe(true);
  proxy.kill("SIGTERM");
  const code = await proxy.exited;
  if (!windows) expect(code).toBe(0);
});

test.skipIf(!hasAddon)(
  "it carries the addon of QUIC: bytes go over links of the driver quiche and back, of four workers at once",
  async () => {
    await using backend = await WireServer.echo();
    using authority = new Authority();
    const { certFile, keyFile } = authority.issue(["localhost", "IP:127.0.0.1"]);
    const [quicPort, port] = [await freePort(), await freePort()];
    const config = authority.file(
      "link.yaml",
      `log_format: json
workers: 4
protocols:
  - name: quic
    listen: 127.0.0.1:${quicPort}
    tls: { cert_file: ${certFile}, key_file: ${keyFile} }
    quic: { driver: quiche }
    target: ${backend.target}
  - name: tcp
    listen: 127.0.0.1:${port}
    targets:
      - address: quic://127.0.0.1:${quicPort}
        tls: { ca_file: ${authority.caFile} }
        quic: { driver: quiche }
`,
    );
    const proxy = Bun.spawn([executable, "-config", config], {
      cwd: empty,
      env,
      stdout: "ignore",
      stderr: "pipe",
    });
    await listening(proxy.stderr, port);
    const exchange = async (_: unknown, number: number): Promise<void> => {
      const client = await Wire.connect({ host: "127.0.0.1", port });
      const sending = client.sendStream(number, 1 << 20).then(() => client.end());
      await client.expectStream(number, 1 << 20);
      await sending;
    };
    await Promise.all(Array.from({ length: 16 }, exchange));
    proxy.kill("SIGTERM");
    const code = await proxy.exited;
    if (!windows) expect(code).toBe(0);
  },
);

test("it forwards every byte both ways, and ends by SIGTERM with exit code 0", async () => {
  await using backend = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => new Response(await request.bytes()),
  });
  const proxy = Bun.spawn(
    [executable, "-listen=127.0.0.1:0", `-target=127.0.0.1:${backend.port}`, "-log-format=json"],
    { cwd: empty, env, stdout: "ignore", stderr: "pipe" },
  );
  const port = await listeningPort(proxy.stderr);
  const response = await fetch(`http://127.0.0.1:${port}/`, {
    method: "POST",
    body: MESSAGE,
    headers: { connection: "close" },
  });
  expect(Buffer.compare(await response.bytes(), MESSAGE)).toBe(0);
  proxy.kill("SIGTERM");
  const code = await proxy.exited;
  if (!windows) expect(code).toBe(0); // Windows has no signals: the process is ended at once
});
