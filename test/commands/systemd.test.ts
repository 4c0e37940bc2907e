// `proxy` as a service of systemd: what it tells the manager, and the sockets that the manager opened for it. The manager is
// a stand-in; systemd-socket-activate is systemd's own.

import { expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { freePort, inFolder, run } from "../support/daemon.ts";
import { Manager } from "../support/manager.ts";
import { program, testWith } from "../support/programs.ts";
import { Service } from "../support/service.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";
import { startWith } from "./proxy-process.ts";

const TEST_MS = 60_000;

async function expectServed(address: { host: string; port: number } | { path: string }) {
  const client = await Wire.connect(address);
  await client.write("served");
  expect(await within("the echo", client.readBytes(6))).toBe("served");
  client.reset();
}

/** A client as soon as there is somebody to wait for: a socket's file is there a little before it listens. */
async function connectEarly(path: string): Promise<Wire> {
  const clients: Wire[] = [];
  const connect = async (): Promise<boolean> => {
    try {
      clients.push(await Wire.connect({ path }));
      return true;
    } catch {
      return false;
    }
  };
  await until("the socket is there", connect);
  return clients[0]!;
}

function withServer(use: (folder: string, target: string) => Promise<void>): () => Promise<void> {
  return () =>
    inFolder(async (folder) => {
      await using server = await WireServer.echo();
      await use(folder, server.target);
    });
}

for (const kind of ["path", "abstract"] as const) {
  testWith(
    ["python3"],
    `the service manager hears of the start, of upgrades and of the end (${kind} socket)`,
    withServer(async (folder, target) => {
      const path = join(folder, "notify");
      await using manager = await Manager.start(kind === "path" ? path : `@${path}`);
      const env = { NOTIFY_SOCKET: manager.socket };
      const flags = ["-listen", "127.0.0.1:0", "-target", target];
      await using service = await Service.startWith({ env }, folder, ...flags);
      const first = service.pid;
      expect(await manager.nth("READY", 1)).toMatchObject({
        MAINPID: String(first),
        STATUS: expect.stringMatching(/^forwarding on 1 listener, engine /),
      });
      const second = await service.upgrade();
      expect(await manager.nth("READY", 2)).toMatchObject({ MAINPID: String(second) });
      const [reloading] = manager.of("RELOADING");
      const uptimeUsec = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1e6;
      const atUsec = Number(reloading!.MONOTONIC_USEC);
      expect(atUsec).toBeGreaterThan(0);
      expect(atUsec).toBeLessThanOrEqual(uptimeUsec + 10_000);
      expect(manager.notifications.map((each) => Object.keys(each)[0])).toEqual([
        "READY",
        "RELOADING",
        "READY",
      ]);
      await service.stop();
      expect(await manager.nth("STOPPING", 1)).toMatchObject({ STOPPING: "1" });
      expect(manager.of("STOPPING")).toHaveLength(1); // the one that was replaced is not the service
    }),
    TEST_MS,
  );
}

testWith(
  ["python3"],
  "the service manager hears why an upgrade failed, and that the service goes on",
  withServer(async (folder, target) => {
    await using manager = await Manager.start(join(folder, "notify"));
    const file = join(folder, "proxy.yaml");
    writeFileSync(file, `protocols: [{name: tcp, listen: "127.0.0.1:0", target: "${target}"}]\n`);
    const env = { NOTIFY_SOCKET: manager.socket };
    await using service = await Service.startWith({ env }, folder, "-config", file);
    writeFileSync(file, "protocols: [{name: tpc}]\n");
    service.signal("SIGUSR2");
    expect(await manager.nth("READY", 2)).toMatchObject({
      MAINPID: String(service.pid),
      STATUS: expect.stringMatching(/^upgrade failed, serving on: process \d+: .*tpc/),
    });
    await service.stop();
  }),
  TEST_MS,
);

testWith(
  ["python3"],
  "the watchdog is fed by whoever is the service, as long as its workers answer",
  withServer(async (folder, target) => {
    await using manager = await Manager.start(join(folder, "notify"));
    const env = { NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC: "50000" };
    const flags = ["-listen", "127.0.0.1:0", "-target", target, "-workers", "2"];
    await using service = await Service.startWith({ env }, folder, ...flags);
    await manager.nth("WATCHDOG", 3);
    await service.upgrade();
    const ready = await manager.nth("READY", 2);
    const before = manager.of("WATCHDOG").length;
    await manager.nth("WATCHDOG", before + 3);
    const after = manager.notifications.slice(manager.notifications.indexOf(ready) + 1);
    expect(after[0]).toEqual({ WATCHDOG: "1" });
    await service.stop();
  }),
  TEST_MS,
);

testWith(
  ["python3"],
  "a process that was replaced drains to its end, however often the manager stops the service",
  withServer(async (folder, target) => {
    await using manager = await Manager.start(join(folder, "notify"));
    const env = { NOTIFY_SOCKET: manager.socket };
    const flags = ["-listen", "127.0.0.1:0", "-target", target];
    await using service = await Service.startWith({ env }, folder, ...flags);
    const client = await Wire.connect({ host: "127.0.0.1", port: await service.port() });
    await client.write("before");
    expect(await within("the echo", client.readBytes(6))).toBe("before");
    await service.upgrade();
    service.first.kill("SIGTERM");
    await service.first.line(/"signal":"SIGTERM","msg":"draining already"/);
    service.first.kill("SIGTERM");
    await client.write("after");
    expect(await within("the echo", client.readBytes(5))).toBe("after");
    client.end();
    await within("the rest", client.readAll());
    const { code, stderr } = await service.stop();
    expect(code).toBe(0);
    expect(stderr).not.toContain("stopped at once");
  }),
  TEST_MS,
);

testWith(
  ["systemd-socket-activate"],
  "sockets of the service manager are accepted on, by address and not by order, and the rest is bound",
  withServer(async (folder, target) => {
    const [port, other] = [await freePort(), await freePort()];
    const path = join(folder, "activated.sock");
    const file = join(folder, "proxy.yaml");
    const entry = (listen: string): string =>
      `{name: tcp, listen: "${listen}", target: "${target}"}`;
    const listeners = [`unix:${path}`, `127.0.0.1:${port}`, "127.0.0.1:0"];
    writeFileSync(file, `workers: 3\nprotocols: [${listeners.map(entry).join(", ")}]\n`);
    const sockets = [`127.0.0.1:${port}`, path, `127.0.0.1:${other}`];
    const by = [
      program("systemd-socket-activate"),
      ...sockets.map((address) => `--listen=${address}`),
      "--fdname=web:unix:stray",
    ];
    const starting = Service.startWith({ by }, folder, "-config", file);
    const cause = await connectEarly(path); // starts it
    await using service = await starting;
    await cause.write("served");
    expect(await within("the echo", cause.readBytes(6))).toBe("served");
    cause.reset();
    const served = async (): Promise<void> => {
      for (let i = 0; i < 10; i++) {
        await expectServed({ host: "127.0.0.1", port });
        await expectServed({ path });
      }
    };
    await served();
    await service.first.line(
      new RegExp(`"level":"warn".*"name":"stray","address":"127.0.0.1:${other}".*fits no listener`),
    );
    // What was activated is handed on like everything else.
    await service.upgrade();
    await served();
    await service.upgrade();
    await served();
    const { code, stderr } = await service.stop();
    expect(code).toBe(0);
    const inherited = [...stderr.matchAll(/"inherited":(\d+)/g)].map((match) => Number(match[1]));
    expect(inherited.slice(0, 2)).toEqual([1, 1]);
    expect(stderr.match(/"level":"(warn|error)"/g)).toHaveLength(1);
  }),
  TEST_MS,
);

testWith(
  ["systemd-socket-activate"],
  "a client that waits since before the service was started is served",
  withServer(async (folder, target) => {
    const path = join(folder, "activated.sock");
    const by = [program("systemd-socket-activate"), `--listen=${path}`];
    const child = startWith({ by }, "-listen", `unix:${path}`, "-target", target);
    const cause = await connectEarly(path); // starts it
    await cause.write("served");
    expect(await within("the echo", cause.readBytes(6))).toBe("served");
    cause.reset();
    child.kill("SIGTERM");
    expect((await within("the end", child.outcome, TEST_MS)).code).toBe(0);
  }),
  TEST_MS,
);

testWith(["systemd-analyze"], "the unit files are valid, and leave little exposed", async () => {
  const units = join(import.meta.dir, "../../packaging/systemd");
  await inFolder(async (folder) => {
    // The executable must be there for systemd to take the unit as valid.
    for (const name of ["proxy.service", "proxy.socket"]) {
      const text = readFileSync(join(units, name), "utf8");
      writeFileSync(join(folder, name), text.replaceAll("/usr/local/bin/proxy", "/bin/true"));
    }
    const analyze = program("systemd-analyze");
    const files = ["proxy.service", "proxy.socket"].map((name) => join(folder, name));
    const { stdout, stderr } = await run([analyze, "verify", "--man=no", ...files]);
    expect(stdout + stderr).toBe("");
    const security = [analyze, "security", "--offline=yes", "--threshold=25", files[0]!];
    await run(security); // fails above the threshold, 2.5 of 10
  });
});
