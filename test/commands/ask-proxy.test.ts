// The commands that ask a running proxy, against a real one, as processes of their own.

import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { stringify } from "yaml";

import { freePort, inFolder } from "../support/daemon.ts";
import { within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";
import { type Outcome, runProxy, startProxy } from "./proxy-process.ts";

interface Running {
  readonly pid: number;
  readonly folder: string;
  readonly file: string;
  readonly port: number;
  readonly adminPort: number;
  /** The configuration's file is this from here on. */
  write(more: object): void;
  /** Runs a command with `-config`. */
  ask(...words: string[]): Promise<Outcome>;
}

async function withProxy(admin: object, use: (running: Running) => Promise<void>): Promise<void> {
  await using echo = await WireServer.echo();
  await inFolder(async (folder) => {
    const [port, adminPort] = [await freePort(), await freePort()];
    const file = join(folder, "proxy.yaml");
    const write = (more: object): void => {
      const listener = { name: "tcp", listen: `127.0.0.1:${port}`, target: echo.target, ...more };
      const place = { listen: `127.0.0.1:${adminPort}`, ...admin };
      writeFileSync(file, stringify({ admin: place, protocols: [listener] }));
    };
    write({});
    const child = startProxy("-config", file, "-log-format", "json");
    try {
      await child.line(/"msg":"started"/);
      const ask: Running["ask"] = (...words) => runProxy(...words, "-config", file);
      await use({ pid: child.pid, folder, file, port, adminPort, write, ask });
    } finally {
      child.kill("SIGTERM");
    }
    expect((await within("the end", child.outcome, 20_000)).code).toBe(0);
  });
}

test(
  "status tells how the proxy is, and fails when it is not ready",
  () =>
    withProxy({}, async ({ pid, port, adminPort, write, ask }) => {
      const { code, stdout } = await ask("status");
      expect(stdout).toStartWith("ready\n");
      expect(stdout).toContain(`on 127.0.0.1:${adminPort}, process ${pid}, up `);
      expect(stdout).toContain(`tcp 127.0.0.1:${port}     0      0`);
      expect(code).toBe(0);
      write({ limits: { max_connections: "many" } });
      expect((await ask("reload")).code).toBe(1);
      const refused = await ask("status");
      expect(refused.stdout).toStartWith("not ready: the configuration was not taken: ");
      expect(refused.code).toBe(1);
      const json = await runProxy("status", "-admin", `127.0.0.1:${adminPort}`, "--json");
      expect(JSON.parse(json.stdout)).toMatchObject({ pid, ready: false });
      expect(json.code).toBe(1);
    }),
  60_000,
);

test(
  "reload tells what is different, or what is wrong and where",
  () =>
    withProxy({}, async ({ file, port, write, ask }) => {
      expect(await ask("reload")).toMatchObject({
        code: 0,
        stdout: "nothing is different, 1 listener is as it was\n",
      });
      write({ limits: { max_connections: 7 } });
      const { code, stdout } = await ask("reload");
      expect(code).toBe(0);
      // The file's change may have been seen first: then that is told.
      expect(stdout).toContain(`~ tcp 127.0.0.1:${port}: limits\n`);
      write({ limits: { max_connections: "many" } });
      const refused = await ask("reload");
      expect(refused.code).toBe(1);
      const [first, last] = refused.stderr.trim().split("\n");
      expect(first).toMatch(/^\S+:\d+:\d+: protocols\[0\]\.limits\.max_connections: /);
      expect(first).toStartWith(`${file}:`);
      expect(last).toBe("proxy: the configuration is not taken, the one before goes on");
    }),
  60_000,
);

test(
  "connections are listed, found and closed",
  () =>
    withProxy({}, async ({ port, ask }) => {
      expect((await ask("connections")).stdout).toBe("no connections\n");
      const wires = [
        await Wire.connect({ host: "127.0.0.1", port }),
        await Wire.connect({ host: "127.0.0.1", port }),
      ];
      for (const wire of wires) await wire.write("abc");
      for (const wire of wires) expect(await wire.readBytes(3)).toBe("abc");
      const client = `127.0.0.1:${wires[0]!.socket.localPort}`;
      const listed = (await ask("connections", "-client", client)).stdout.trim().split("\n");
      expect(listed).toHaveLength(2);
      expect(listed[1]).toMatch(
        new RegExp(`^\\d+:\\d+  ${client}  tcp 127.0.0.1:${port}  .*3 B   3 B$`),
      );
      const json = JSON.parse((await ask("connections", "-json", "-limit", "1")).stdout) as object;
      expect(json).toMatchObject({ matching: 2, connections: [{}] });
      const [id] = listed[1]!.split(" ");
      expect(await ask("connections", "close", "-id", id!)).toMatchObject({
        code: 0,
        stdout: "1 connection is closed\n",
      });
      await within("the reset", wires[0]!.closed);
      expect(await ask("connections", "close", "-id", id!)).toMatchObject({
        code: 1,
        stdout: "no connection fits, none is closed\n",
      });
      expect((await ask("connections", "-target", "192.0.2.")).stdout).toBe("no connections\n");
      for (const question of [["connections"], ["connections", "close"], ["targets"]]) {
        const { code, stderr } = await ask(...question, "-listener", "tcp");
        expect(code).toBe(1);
        expect(stderr).toContain(`there is no listener tcp. Did you mean "tcp 127.0.0.1:${port}"?`);
      }
      await wires[1]!.write("def");
      expect(await wires[1]!.readBytes(3)).toBe("def");
      wires[1]!.destroy();
    }),
  60_000,
);

test(
  "targets are listed, drained, weighted and enabled again",
  () =>
    withProxy({}, async ({ port, write, ask }) => {
      await using first = await WireServer.listen((wire) => void wire.write("first"));
      await using second = await WireServer.listen((wire) => void wire.write("other"));
      write({ target: undefined, targets: [first.target, second.target] });
      expect((await ask("reload")).code).toBe(0);
      const greeting = async (): Promise<string> => {
        const wire = await Wire.connect({ host: "127.0.0.1", port });
        const greeted = await wire.readBytes(5);
        wire.destroy();
        return greeted;
      };
      const listener = `tcp 127.0.0.1:${port}`;
      expect(await ask("targets", "drain", first.target)).toMatchObject({
        code: 0,
        stdout: `${listener}: ${first.target} is draining, weight 1, 0 connections under way\n`,
      });
      for (let i = 0; i < 6; i++) expect(await greeting()).toBe("other");
      const listed = (await ask("targets")).stdout.trim().split("\n");
      expect(listed[1]).toMatch(new RegExp(`^${listener} +${first.target} +draining +1 `));
      expect(listed[2]).toMatch(new RegExp(`^${listener} +${second.target} +up +1 `));
      expect((await ask("targets", "enable", first.target, "-listener", listener)).code).toBe(0);
      expect((await ask("targets", "disable", second.target)).stdout).toContain("is disabled");
      for (let i = 0; i < 6; i++) expect(await greeting()).toBe("first");
      const weighted = await ask("targets", "weight", first.target, "5", "-json");
      expect(JSON.parse(weighted.stdout)).toMatchObject([{ weight: 5, configuredWeight: 1 }]);
      const again = await ask("targets", "weight", first.target, "configured");
      expect(again.stdout).toContain("is enabled, weight 1, ");
      const unknown = await ask("targets", "drain", "127.0.0.1:1");
      expect(unknown).toMatchObject({ code: 1, stdout: "" });
      expect(unknown.stderr).toContain("there is no target 127.0.0.1:1. ");
      const elsewhere = await ask("targets", "drain", first.target, "-listener", "tcp :1");
      expect(elsewhere).toMatchObject({ code: 1, stderr: expect.stringContaining(listener) });
    }),
  60_000,
);

test(
  "a proxy behind a token is asked with it, and one on a unix socket by its path",
  () =>
    inFolder(async (folder) => {
      const token = join(folder, "admin.token");
      writeFileSync(token, "a-token-that-is-long-enough\n");
      const other = join(folder, "other.token");
      writeFileSync(other, "another-token-that-is-long\n");
      await withProxy({ token_file: token }, async ({ adminPort, ask }) => {
        expect((await ask("status")).code).toBe(0);
        const at = ["status", "-admin", `127.0.0.1:${adminPort}`];
        expect(await runProxy(...at)).toMatchObject({
          code: 1,
          stderr: expect.stringContaining("wants a token"),
        });
        expect(await runProxy(...at, "-token-file", other)).toMatchObject({
          code: 1,
          stderr: expect.stringContaining("has another token"),
        });
        expect((await runProxy(...at, "-token-file", token)).code).toBe(0);
      });
      const path = join(folder, "admin.sock");
      await withProxy({ listen: `unix:${path}` }, async ({ ask }) => {
        expect((await ask("status")).stdout).toContain(` on unix:${path}, `);
        expect((await runProxy("connections", "-admin", `unix:${path}`)).code).toBe(0);
      });
    }),
  60_000,
);

test(
  "where nobody answers, and where no address is configured, the cure is named",
  () =>
    inFolder(async (folder) => {
      const address = `127.0.0.1:${await freePort()}`;
      const nobody = await runProxy("top", "-admin", address);
      expect(nobody).toMatchObject({ code: 1, stdout: "" });
      expect(nobody.stderr).toStartWith(
        `proxy: no proxy answers on ${address}. Start the proxy with -admin`,
      );
      const reload = await runProxy("reload", "-admin", address);
      expect(reload.stderr).toContain("kill -HUP");
      const file = join(folder, "proxy.yaml");
      writeFileSync(file, "protocols: [{ name: tcp, listen: ':0', target: '127.0.0.1:1' }]\n");
      const none = await runProxy("status", "-config", file);
      expect(none).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(`${file} has no admin.listen`),
      });
      writeFileSync(file, "admin: { listen: 7 7 }\nprotocols: []\n");
      const wrong = await runProxy("status", "-config", file);
      expect(wrong).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(`${file}:1:18: admin.listen`),
      });
      expect(readFileSync(file, "utf8")).toContain("7 7");
    }),
  60_000,
);

test("words that mean nothing are errors of usage", async () => {
  const cases: [string[], string][] = [
    [["connections", "clsoe"], 'unknown action "clsoe". Did you mean "close"?'],
    [["connections", "close"], "close which? Write -id, -client, -target or -listener"],
    [["connections", "-id", "7"], '-id: "7" is not one'],
    [["connections", "-limit", "many"], '-limit: "many" is not a number up to 10000'],
    [["targets", "drian", "x"], 'unknown action "drian". Did you mean "drain"?'],
    [["targets", "drain"], "which target? Write proxy targets drain 10.0.0.3:80"],
    [["targets", "weight", "x"], "which weight? Write 0 to 1000, or configured"],
    [["targets", "enable", "x", "5"], 'unexpected argument "5"'],
    [["top", "-n", "0"], '-n: "0" is not a number of pictures'],
    [["status", "-admin", "127.0.0.1:0"], '-admin: "127.0.0.1:0" is no port to ask'],
    [["status", "-admin", "x"], '-admin: "x" is not an address'],
    [
      ["status", "-token-file", "/no/such/token"],
      "the token's file /no/such/token cannot be read (ENOENT)",
    ],
  ];
  for (const [words, message] of cases) {
    const { code, stderr } = await runProxy(...words);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  }
}, 60_000);
