// Upgrades as people make them: by SIGUSR2 and by `proxy upgrade`, with a configuration that may have changed meanwhile.

import { expect, test } from "bun:test";
import { existsSync, lstatSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { freePort, inFolder } from "../support/daemon.ts";
import { ENGINES } from "../support/engines.ts";
import { Service } from "../support/service.ts";
import { until, within } from "../support/until.ts";
import { Wire, type WireAddress, WireServer } from "../support/wire.ts";
import { runProxy, startProxy } from "./proxy-process.ts";

const TEST_MS = 60_000;
const LINUX_ENGINES = process.platform === "linux" ? ENGINES : [];

/** A service whose configuration can be written anew. */
interface Setting {
  readonly folder: string;
  readonly target: string;
  readonly file: string;
  write(...listeners: string[]): void;
}

function inSetting(use: (setting: Setting) => Promise<void>): () => Promise<void> {
  return () =>
    inFolder(async (folder) => {
      await using server = await WireServer.echo();
      const file = join(folder, "proxy.yaml");
      const { target } = server;
      const write = (...listeners: string[]): void => {
        const entries = listeners.map(
          (listen) => `{name: tcp, listen: "${listen}", target: "${target}"}`,
        );
        writeFileSync(file, `protocols: [${entries.join(", ")}]\n`);
      };
      await use({ folder, target, file, write });
    });
}

const at = (port: number): WireAddress => ({ host: "127.0.0.1", port });

async function expectEcho(client: Wire, text: string): Promise<void> {
  await client.write(text);
  expect(await within("the echo", client.readBytes(text.length))).toBe(text);
}

async function expectServed(address: WireAddress): Promise<void> {
  const client = await Wire.connect(address);
  await expectEcho(client, "served");
  client.reset();
}

/** The ports of the listeners that the n-th process has opened, in their order. */
function portsOf(stderr: string): number[] {
  const lines = stderr.matchAll(/"listen":"[^"]*:(\d+)".*"msg":"listening"/g);
  return [...lines].map((match) => Number(match[1]));
}

for (const engine of LINUX_ENGINES) {
  test(
    `a connection outlives the process that serves it, which ends with it (${engine})`,
    inSetting(async ({ folder, target }) => {
      const flags = ["-listen", "127.0.0.1:0", "-target", target, "-engine", engine];
      await using service = await Service.start(folder, ...flags);
      const port = await service.port();
      const old = await Wire.connect(at(port));
      await expectEcho(old, "before");
      const first = service.pid;
      const second = await service.upgrade();
      await expectEcho(old, "after");
      await expectServed(at(port));
      const third = await service.upgrade();
      await expectEcho(old, "after two");
      expect(new Set([first, second, third]).size).toBe(3);
      old.end();
      expect(await within("the rest", old.readAll())).toBe("");
      const { code, stderr } = await service.stop();
      expect(code).toBe(0);
      expect(stderr.match(/"reset":0,"msg":"stopped"/g)).toHaveLength(3);
      expect(stderr).not.toMatch(/"level":"(warn|error)"/);
      expect(new Set(portsOf(stderr))).toEqual(new Set([port]));
      expect(existsSync(join(folder, "proxy.pid"))).toBe(false);
    }),
    TEST_MS,
  );

  test(
    `a unix listener stays the same file, and is removed at the end (${engine})`,
    inSetting(async ({ folder, target }) => {
      const path = join(folder, "listen.sock");
      const flags = ["-listen", `unix:${path}`, "-target", target, "-engine", engine];
      await using service = await Service.start(folder, ...flags);
      const { ino } = lstatSync(path);
      const old = await Wire.connect({ path });
      await expectEcho(old, "before");
      for (let upgrades = 0; upgrades < 2; upgrades++) {
        await service.upgrade();
        await expectEcho(old, "after");
        await expectServed({ path });
        expect(lstatSync(path).ino).toBe(ino);
      }
      old.end();
      await within("the rest", old.readAll());
      const { code, stderr } = await service.stop();
      expect(code).toBe(0);
      expect(stderr).not.toMatch(/"level":"(warn|error)"/);
      expect(existsSync(path)).toBe(false);
    }),
    TEST_MS,
  );

  test(
    `a successor that cannot start changes nothing, and the next one may (${engine})`,
    inSetting(async ({ folder, file, write }) => {
      write("127.0.0.1:0");
      await using service = await Service.start(folder, "-config", file, "-engine", engine);
      const port = await service.port();
      const first = service.pid;
      const client = await Wire.connect(at(port));
      await expectEcho(client, "before");
      writeFileSync(file, "protocols: [{name: tcp, listne: ':1'}]\n");
      service.signal("SIGUSR2");
      await service.first.line(/"level":"error".*unknown key.*"msg":"upgrade failed, serving on"/);
      expect(service.pid).toBe(first);
      await expectEcho(client, "after");
      await expectServed(at(port));
      await using taken = await WireServer.listen();
      write("127.0.0.1:0", `127.0.0.1:${taken.port}`);
      service.signal("SIGUSR2");
      await service.first.line(/"reason":"process \d+: cannot listen.*EADDRINUSE.*"upgrade failed/);
      await expectEcho(client, "after both");
      await expectServed(at(port));
      write("127.0.0.1:0");
      expect(await service.upgrade()).not.toBe(first);
      await expectServed(at(port));
      await expectEcho(client, "to the end");
      client.end();
      await within("the rest", client.readAll());
      expect((await service.stop()).code).toBe(0);
    }),
    TEST_MS,
  );

  test(
    `another number of workers takes over all sockets (${engine})`,
    inSetting(async ({ folder, target, file }) => {
      const write = (workers: number): void => {
        const entry = `{name: tcp, listen: "127.0.0.1:0", target: "${target}"}`;
        writeFileSync(file, `workers: ${workers}\nprotocols: [${entry}]\n`);
      };
      write(3);
      await using service = await Service.start(folder, "-config", file, "-engine", engine);
      const port = await service.port();
      for (const workers of [2, 1, 3, 1, 4]) {
        write(workers);
        await service.upgrade();
        for (let i = 0; i < 20; i++) await expectServed(at(port));
      }
      const { code, stderr } = await service.stop();
      expect(code).toBe(0);
      expect(stderr).not.toMatch(/"level":"(warn|error)"/);
      const inherited = [...stderr.matchAll(/"inherited":(\d+)/g)].map((match) => Number(match[1]));
      // One worker accepts on all that there are; what it opened alone cannot be bound a second time.
      expect(inherited).toEqual([3, 3, 3, 3, 3]);
    }),
    TEST_MS,
  );
}

test.if(LINUX_ENGINES.length > 0)(
  "listeners that the successor does not have are closed, others are opened, in any order",
  inSetting(async ({ folder, file, write }) => {
    const gone = join(folder, "gone.sock");
    const stays = join(folder, "stays.sock");
    const comes = join(folder, "comes.sock");
    write("127.0.0.1:0", `unix:${gone}`, `unix:${stays}`, "127.0.0.1:0");
    await using service = await Service.start(folder, "-config", file);
    const old = await Wire.connect({ path: gone });
    await expectEcho(old, "before");
    const first = service.pid;
    write(`unix:${comes}`, `unix:${stays}`, "127.0.0.1:0", "127.0.0.1:0");
    const second = await service.upgrade();
    await expectServed({ path: stays });
    await expectServed({ path: comes });
    await until("nobody listens where nobody should", () =>
      Wire.connect({ path: gone }).then(
        () => false,
        () => true,
      ),
    );
    await expectEcho(old, "to the end");
    old.end();
    await within("the rest", old.readAll());
    const { stderr } = await service.stop();
    expect(first).not.toBe(second);
    const ports = portsOf(stderr);
    expect(ports).toHaveLength(4);
    expect(ports.slice(2)).toEqual(ports.slice(0, 2));
    const warnings = stderr.split("\n").filter((line) => /"level":"(warn|error)"/.test(line));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`"address":"unix:${gone}"`);
    expect([gone, stays, comes].filter((path) => existsSync(path))).toEqual([]);
  }),
  TEST_MS,
);

test.if(LINUX_ENGINES.includes("uring"))(
  "the successor may have another engine",
  inSetting(async ({ folder, target, file }) => {
    const write = (engine: string): void => {
      const entry = `{name: tcp, listen: "127.0.0.1:0", target: "${target}"}`;
      writeFileSync(file, `engine: ${engine}\nprotocols: [${entry}]\n`);
    };
    write("uring");
    await using service = await Service.start(folder, "-config", file);
    const port = await service.port();
    for (const engine of ["epoll", "uring", "bun", "uring", "bun", "epoll"]) {
      write(engine);
      await service.upgrade();
      for (let i = 0; i < 20; i++) await expectServed(at(port));
    }
    const { code, stderr } = await service.stop();
    expect(code).toBe(0);
    expect(stderr).not.toMatch(/"level":"(warn|error)"/);
  }),
  TEST_MS,
);

test.if(LINUX_ENGINES.length > 0)(
  "an upgrade to a wider address of the port, and one back, refuse nobody",
  inSetting(async ({ folder, file, write }) => {
    const port = await freePort();
    write(`127.0.0.1:${port}`);
    await using service = await Service.start(folder, "-config", file, "-workers", "2");
    let goesOn = true;
    const asking = (async () => {
      while (goesOn) await expectServed(at(port));
    })();
    for (const [host, isOpen] of [
      ["0.0.0.0", true],
      ["127.0.0.1", false],
    ] as const) {
      write(`${host}:${port}`);
      await service.upgrade();
      await until("the other address is as it should be", async () => {
        const other = await Wire.connect({ host: "127.0.0.2", port }).catch(() => null);
        other?.reset();
        return (other !== null) === isOpen;
      });
    }
    goesOn = false;
    await asking;
    expect((await service.stop()).code).toBe(0);
  }),
  TEST_MS,
);

test(
  "a second proxy on the same port still is an error",
  inSetting(async ({ folder, target }) => {
    await using service = await Service.start(folder, "-listen", "127.0.0.1:0", "-target", target);
    const address = `127.0.0.1:${await service.port()}`;
    const { code, stderr } = await runProxy("-listen", address, "-target", target);
    expect(code).toBe(1);
    expect(stderr).toContain("EADDRINUSE");
    expect((await service.stop()).code).toBe(0);
  }),
  TEST_MS,
);

test.if(LINUX_ENGINES.length > 0)(
  "`proxy upgrade` tells how it went",
  inSetting(async ({ folder, file, write }) => {
    write("127.0.0.1:0");
    await using service = await Service.start(folder, "-config", file);
    const held = await Wire.connect(at(await service.port()));
    await expectEcho(held, "held");
    const first = service.pid;
    const byFile = await runProxy("upgrade", "-pid-file", join(folder, "proxy.pid"));
    expect(byFile).toMatchObject({ code: 0, stderr: "" });
    await until("the successor is in charge", () => service.pid !== first);
    const second = service.pid;
    expect(byFile.stdout).toBe(`process ${second} has taken over from process ${first}\n`);
    const late = await runProxy("upgrade", "-pid", String(first));
    expect(late.code).toBe(1);
    expect(late.stderr).toBe(
      `proxy: process ${first} was replaced by process ${second}, and drains\n`,
    );
    writeFileSync(file, "protocols: []\n");
    const failed = await runProxy("upgrade", "-pid", String(second));
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(
      /^proxy: the new process does not serve: the log of process \d+ says/,
    );
    expect(service.pid).toBe(second);
    held.end();
    await within("the rest", held.readAll());
    expect((await service.stop()).code).toBe(0);
  }),
  TEST_MS,
);

test.if(process.platform === "linux")(
  "`proxy upgrade` harms no process that is no proxy",
  async () => {
    // The second has a use of its own for the signal, as shells have.
    for (const script of ["echo; read line", "trap 'exit 9' USR2; echo; read line"]) {
      const child = Bun.spawn(["sh", "-c", script], { stdin: "pipe", stdout: "pipe" });
      try {
        await child.stdout.getReader().read();
        const { code, stderr } = await runProxy("upgrade", "-pid", String(child.pid));
        expect(code).toBe(1);
        expect(stderr).toBe(`proxy: process ${child.pid} is not a proxy that can be upgraded\n`);
        expect(child.exitCode).toBe(null);
      } finally {
        child.kill();
      }
    }
    const { code, stderr } = await runProxy("upgrade");
    expect(code).toBe(2);
    expect(stderr).toContain("-pid 1234 or -pid-file");
  },
);

test("a pid file that cannot be written is an error at the start", async () => {
  const child = startProxy(
    "-listen",
    "127.0.0.1:0",
    "-target",
    "127.0.0.1:9",
    "-pid-file",
    "/proc/no/such",
  );
  const { code, stderr } = await within("the end", child.outcome, TEST_MS);
  expect(code).toBe(1);
  expect(stderr).toMatch(/"code":"ERR_SYSTEM","msg":"the pid file cannot be written/);
});
