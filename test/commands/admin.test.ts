// The admin listener of a real process: probes, the token, bounds, and that it survives reloads and upgrades.

import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { stringify } from "yaml";

import { ADMIN } from "../../src/shared/limits.ts";
import { freePort, inFolder } from "../support/daemon.ts";
import { until, within } from "../support/until.ts";
import { Wire } from "../support/wire.ts";
import { type ProxyProcess, runProxy, startProxy } from "./proxy-process.ts";

const TOKEN = "a-token-of-more-than-sixteen-bytes";
/** A test that fails leaves none running. */
const started: ProxyProcess[] = [];
afterEach(() => started.splice(0).forEach((child) => child.kill("SIGKILL")));

function begin(...args: string[]): ProxyProcess {
  const child = startProxy(...args);
  started.push(child);
  return child;
}

const UPGRADES = process.platform === "linux";

class Setup {
  readonly file: string;
  readonly port: number;
  constructor(folder: string, port: number) {
    this.file = join(folder, "proxy.yaml");
    this.port = port;
  }

  write(admin: object | undefined, wrong: object = {}): void {
    const protocols = [
      { name: "tcp", listen: `127.0.0.1:${this.port}`, target: "127.0.0.1:9", ...wrong },
    ];
    writeFileSync(`${this.file}.new`, stringify({ admin, protocols }));
    renameSync(`${this.file}.new`, this.file);
  }

  async start(): Promise<ProxyProcess> {
    const child = begin("-config", this.file, "-log-format", "json");
    await child.line(/"msg":"started"/);
    return child;
  }
}

function inSetup(use: (setup: Setup, folder: string) => Promise<void>): () => Promise<void> {
  return () => inFolder(async (folder) => use(new Setup(folder, await freePort()), folder));
}

/** By flags. */
async function startAt(port: number): Promise<ProxyProcess> {
  const listener = ["-listen", "127.0.0.1:0", "-target", "127.0.0.1:9"];
  const child = begin(...listener, "-admin", `127.0.0.1:${port}`);
  await child.line(/started/);
  return child;
}

async function stop(child: ProxyProcess): Promise<void> {
  child.kill("SIGTERM");
  expect((await within("the end", child.outcome, 20_000)).code).toBe(0);
}

async function get(url: string, init: RequestInit = {}): Promise<[status: number, text: string]> {
  const answer = await fetch(url, { ...init, keepalive: false });
  return [answer.status, await answer.text()];
}

const statusOf = async (url: string, init?: RequestInit): Promise<number> =>
  (await get(url, init).catch(() => [0] as const))[0];

describe("probes", () => {
  test(
    "a proxy lives and is ready, is not while its file is refused, and drains",
    async () =>
      inSetup(async (setup) => {
        const at = `http://127.0.0.1:${await freePort()}`;
        const admin = { listen: at.slice("http://".length) };
        setup.write(admin);
        const child = await setup.start();
        expect(await get(`${at}/livez`)).toEqual([200, "alive\n"]);
        expect(await get(`${at}/readyz`)).toEqual([200, "ready\n"]);
        const accept = { headers: { accept: "application/json" } };
        expect(JSON.parse((await get(`${at}/readyz`, accept))[1])).toEqual({
          status: "ready",
          reasons: [],
          warnings: [],
        });
        expect(await get(`${at}/livez`, { method: "HEAD" })).toEqual([200, ""]);
        expect(await statusOf(`${at}/livez`, { method: "POST" })).toBe(405);
        expect(await statusOf(`${at}/nothing`)).toBe(404);

        setup.write(admin, { targett: "x" });
        await until("it is not ready", async () => (await statusOf(`${at}/readyz`)) === 503);
        expect((await get(`${at}/readyz`))[1]).toContain("targett");
        expect(await statusOf(`${at}/livez`)).toBe(200);
        const [status, body] = await get(`${at}/readyz?exclude=configuration`);
        expect([status, body]).toEqual([
          200,
          expect.stringContaining("warning: the configuration was"),
        ]);
        expect(await statusOf(`${at}/readyz?exclude=everything`)).toBe(400);
        setup.write(admin);
        await until("it is ready again", async () => (await statusOf(`${at}/readyz`)) === 200);
        await child.line(/"msg":"the configuration is right again"/);

        await stop(child);
        expect(await statusOf(`${at}/livez`)).toBe(0);
      })(),
    60_000,
  );
});

describe("who may ask", () => {
  test(
    "without the token, only probes are answered, and told no reasons",
    async () =>
      inSetup(async (setup, folder) => {
        const port = await freePort();
        const at = `http://127.0.0.1:${port}`;
        const tokenFile = join(folder, "token");
        writeFileSync(tokenFile, `${TOKEN}\n`);
        setup.write({ listen: `:${port}`, token_file: tokenFile });
        const child = await setup.start();
        const shown = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
        expect(await get(`${at}/readyz`)).toEqual([200, "ready\n"]);
        const kubelet = {
          headers: { host: `10.244.0.7:${port}`, "user-agent": "kube-probe/1.33" },
        };
        for (const path of ["/livez", "/readyz?exclude=configuration"]) {
          expect(await statusOf(`${at}${path}`, kubelet)).toBe(200);
        }
        for (const path of ["/metrics", "/nothing"]) {
          expect(await statusOf(`${at}${path}`)).toBe(401);
          expect(await statusOf(`${at}${path}`, shown(`${TOKEN}x`))).toBe(401);
        }
        expect(await statusOf(`${at}/nothing`, shown(TOKEN))).toBe(404);
        writeFileSync(tokenFile, `${TOKEN}-new`);
        await child.line(/"msg":"new admin token"/);
        expect(await statusOf(`${at}/nothing`, shown(TOKEN))).toBe(401);
        expect(await statusOf(`${at}/nothing`, shown(`${TOKEN}-new`))).toBe(404);
        writeFileSync(tokenFile, "short");
        await child.line(/"msg":"the admin token stays as it was"/);
        expect(await statusOf(`${at}/nothing`, shown("short"))).toBe(401);
        expect(await statusOf(`${at}/nothing`, shown(`${TOKEN}-new`))).toBe(404);
        await stop(child);
        const { stdout, stderr } = await child.outcome;
        expect(stdout + stderr).not.toContain(TOKEN);
      })(),
    60_000,
  );

  test(
    "a token that cannot be read ends the start, with the place and the cure",
    async () =>
      inSetup(async (setup, folder) => {
        setup.write({ listen: "127.0.0.1:0", token_file: join(folder, "missing") });
        const { code, stderr } = await runProxy("-config", setup.file, "-log-format", "pretty");
        expect(code).toBe(2);
        expect(stderr).toContain("admin.token_file");
        expect(stderr).toContain("Check the path");
      })(),
    30_000,
  );

  test("another site's page gets nothing, be it by name or by sending a request", async () => {
    const port = await freePort();
    const child = await startAt(port);
    const ask = async (head: string): Promise<string> => {
      const wire = await Wire.connect({ host: "127.0.0.1", port });
      await wire.write(`${head}\r\nConnection: close\r\n\r\n`);
      const answer = await wire.readAll();
      wire.destroy();
      return answer.slice(9, 12);
    };
    expect(await ask("GET /livez HTTP/1.1\r\nHost: evil.example")).toBe("421");
    expect(await ask("GET /livez HTTP/1.1\r\nHost: localhost:1")).toBe("200");
    expect(await ask("POST /livez HTTP/1.1\r\nHost: localhost\r\nOrigin: https://a.b")).toBe("403");
    await stop(child);
  }, 30_000);

  test("heads are bounded", async () => {
    const port = await freePort();
    const child = await startAt(port);
    const long = await Wire.connect({ host: "127.0.0.1", port });
    const field = `X: ${"x".repeat(ADMIN.headMaxBytes)}`;
    await long.write(`GET /livez HTTP/1.1\r\nHost: localhost\r\n${field}\r\n\r\n`);
    expect(await long.readAll()).not.toContain(" 200 ");
    long.destroy();
    await stop(child);
  }, 30_000);
});

test.skipIf(process.platform === "win32")(
  "a unix socket is for its owner, and a file that was left behind is no obstacle",
  async () =>
    inSetup(async (setup, folder) => {
      const path = join(folder, "admin.sock");
      setup.write({ listen: `unix:${path}` });
      const first = await setup.start();
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(await get("http://proxy/livez", { unix: path } as RequestInit)).toEqual([
        200,
        "alive\n",
      ]);
      first.kill("SIGKILL");
      await first.outcome;
      expect(existsSync(path)).toBe(true);
      const second = await setup.start();
      expect(await get("http://proxy/readyz", { unix: path } as RequestInit)).toEqual([
        200,
        "ready\n",
      ]);
      const other = await runProxy(
        "-listen",
        "127.0.0.1:0",
        "-target",
        "127.0.0.1:9",
        "-admin",
        `unix:${path}`,
      );
      expect(other.code).toBe(1);
      expect(other.stderr).toContain("the address is in use");
      await stop(second);
      expect(existsSync(path)).toBe(false);
    })(),
  60_000,
);

describe("the admin listener goes on", () => {
  test(
    "over reloads: it moves, goes away and comes back, and a place that is taken is refused",
    async () =>
      inSetup(async (setup) => {
        const [a, b] = [await freePort(), await freePort()];
        const live = (port: number) => statusOf(`http://127.0.0.1:${port}/livez`);
        setup.write({ listen: `127.0.0.1:${a}` });
        const child = await setup.start();
        setup.write({ listen: `127.0.0.1:${b}` });
        await until("it has moved", async () => (await live(b)) === 200);
        await until("the old address is free", async () => (await live(a)) === 0);
        setup.write(undefined);
        await until("it is gone", async () => (await live(b)) === 0);
        setup.write({ listen: `127.0.0.1:${a}` });
        await until("it is back", async () => (await live(a)) === 200);
        using taken = Bun.listen({ hostname: "127.0.0.1", port: b, socket: { data() {} } });
        expect(taken.port).toBe(b);
        setup.write({ listen: `127.0.0.1:${b}` });
        await child.line(/configuration not taken/);
        expect((await get(`http://127.0.0.1:${a}/readyz`))[1]).toContain("the address is in use");
        await stop(child);
      })(),
    60_000,
  );

  test.skipIf(!UPGRADES)(
    "over an upgrade: the next process takes the address",
    async () =>
      inSetup(async (setup) => {
        const port = await freePort();
        const at = `http://127.0.0.1:${port}`;
        setup.write({ listen: `127.0.0.1:${port}` });
        const child = await setup.start();
        child.kill("SIGUSR2");
        const [, pid] = await child.line(/"successor":(\d+),.*"msg":"replaced, draining"/);
        await child.line(/"reset":0,"msg":"stopped"/);
        await until("the next one is ready", async () => (await statusOf(`${at}/readyz`)) === 200);
        process.kill(Number(pid), "SIGTERM");
        await within("the end of both", child.outcome, 20_000);
      })(),
    60_000,
  );

  test.skipIf(!UPGRADES)(
    "over an upgrade: the next process takes the path of a unix socket",
    async () =>
      inSetup(async (setup, folder) => {
        const path = join(folder, "admin.sock");
        const at = { unix: path } as RequestInit;
        setup.write({ listen: `unix:${path}` });
        const child = await setup.start();
        child.kill("SIGUSR2");
        const [, pid] = await child.line(/"successor":(\d+),.*"msg":"replaced, draining"/);
        await child.line(/"reset":0,"msg":"stopped"/);
        const ready = async () => (await statusOf("http://proxy/readyz", at)) === 200;
        await until("the next one is ready", ready);
        expect(statSync(path).mode & 0o777).toBe(0o600);
        process.kill(Number(pid), "SIGTERM");
        await within("the end of both", child.outcome, 20_000);
        expect(existsSync(path)).toBe(false);
      })(),
    60_000,
  );
});
