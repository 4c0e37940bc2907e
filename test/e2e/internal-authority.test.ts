// The internal authority from end to end: one process signs for itself, others believe it by its root and nothing else, over
// every protocol that has TLS; and the next process goes on with what there is.

import { afterAll, expect, setDefaultTimeout } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { rootFiles } from "../../src/control/acme/internal-authority.ts";
import { type ProxyProcess, runProxy, startProxy } from "../commands/proxy-process.ts";
import { run, temporaryFolder } from "../support/daemon.ts";
import { program, testWith } from "../support/programs.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000); // several processes, one after the other

const started: ProxyProcess[] = [];

function start(...args: string[]): ProxyProcess {
  const child = startProxy(...args);
  started.push(child);
  return child;
}

const folder = temporaryFolder();
const backend = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("behind") });
afterAll(async () => {
  for (const child of started) child.kill("SIGKILL"); // those that a failure left behind
  rmSync(folder, { recursive: true });
  await backend.stop(true);
});

const storage = join(folder, "storage");
const { certificateFile } = rootFiles(storage);

function configFile(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function configWith(name: string, ownStorage: string): string {
  return configFile(
    name,
    `auto_tls: { ca: internal, domains: [[localhost, 127.0.0.1], app.internal], storage: ${ownStorage} }
protocols:
  - { name: http3, listen: "127.0.0.1:0", target: "127.0.0.1:${backend.port}" }
  - { name: tls, listen: "127.0.0.1:0", target: "127.0.0.1:${backend.port}" }
`,
  );
}

const CONFIG = configWith("proxy.yaml", storage);

interface Serving {
  readonly child: ProxyProcess;
  readonly ports: { readonly http3: number; readonly tls: number };
}

/** @returns when it listens. */
async function serve(config = CONFIG): Promise<Serving> {
  const child = start("-config", config);
  const portOf = async (protocol: string): Promise<number> => {
    const line = new RegExp(`"protocol":"${protocol}","listen":"127\\.0\\.0\\.1:(\\d+)`);
    return Number((await child.line(line))[1]);
  };
  const ports = { http3: await portOf("http3"), tls: await portOf("tls") };
  await child.line(/"msg":"started"/);
  return { child, ports };
}

async function end({ child }: Serving): Promise<string> {
  child.kill("SIGTERM");
  const { code, stderr } = await child.outcome;
  expect(code).toBe(0);
  return stderr;
}

/** What curl gets that believes the root and nothing else. */
async function curl(port: number, host: string, ...flags: string[]): Promise<string> {
  return curlBy(certificateFile, port, host, ...flags);
}

async function curlBy(
  root: string,
  port: number,
  host: string,
  ...flags: string[]
): Promise<string> {
  const to = ["--noproxy", "*", "--connect-to", `::127.0.0.1:${port}`];
  const command = [program("curl"), "-sS", ...to, "--cacert", root, ...flags];
  return (await run([...command, `https://${host}/`])).stdout;
}

/** Handshakes of one port, which any worker may get. */
const HANDSHAKES = 6;

async function obtained({ child, ports }: Serving, root = certificateFile): Promise<void> {
  await child.line(/"names":"app\.internal".*"msg":"certificate obtained"/);
  await child.line(/"names":"localhost, 127\.0\.0\.1".*"msg":"certificate obtained"/);
  const isShown = async (port: number, host: string): Promise<boolean> => {
    const tries = Array.from({ length: HANDSHAKES }, () => curlBy(root, port, host));
    return (await Promise.allSettled(tries)).every(({ status }) => status === "fulfilled");
  };
  for (const port of Object.values(ports)) {
    for (const host of ["localhost", "app.internal"]) {
      await until("every worker shows it", () => isShown(port, host));
    }
  }
}

testWith(
  ["curl"],
  "a process signs for itself, and the next one goes on with what there is",
  async () => {
    const first = await serve();
    await obtained(first);
    for (const version of ["--http1.1", "--http2"]) {
      for (const host of ["localhost", "127.0.0.1", "app.internal"]) {
        expect(await curl(first.ports.http3, host, version)).toBe("behind");
      }
    }
    expect(await curl(first.ports.tls, "app.internal")).toBe("behind");
    expect((await runProxy("trust", "-config", CONFIG)).stdout).toContain(certificateFile);
    await end(first);
    const certificate = join(storage, "certificates", "app.internal", "certificate.json");
    const before = readFileSync(certificate, "utf8");
    expect(JSON.parse(before)).toMatchObject({ current: { authority: "internal" } });
    const second = await serve();
    expect(await curl(second.ports.http3, "app.internal")).toBe("behind");
    expect(await end(second)).not.toContain("certificate obtained");
    expect(readFileSync(certificate, "utf8")).toBe(before);
  },
  60_000,
);

testWith(
  ["curl"],
  "over HTTP/3 a proxy that is given the root believes it, and one that is not does not",
  async () => {
    const own = join(folder, "other");
    const serving = await serve(configWith("other.yaml", own));
    await obtained(serving, rootFiles(own).certificateFile);
    const address = `h3://localhost:${serving.ports.http3}`;
    const config = configFile(
      "front.yaml",
      `protocols:
  - name: http
    listen: "127.0.0.1:0"
    routes:
      - match: { path: /believed }
        target: { address: "${address}", tls: { ca_file: ${rootFiles(own).certificateFile} } }
      - match: { path: /unknown }
        target: "${address}"
`,
    );
    const front = start("-config", config);
    const [, port] = await front.line(/"listen":"127\.0\.0\.1:(\d+)/);
    await front.line(/"msg":"started"/);
    const status = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
    expect(await status("/believed")).toBe(200);
    expect(await status("/unknown")).toBe(502);
    front.kill("SIGTERM");
    expect((await front.outcome).code).toBe(0);
    await end(serving);
  },
);
