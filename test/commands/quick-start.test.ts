// What README says first, tried as a new user would: its commands as they stand there, on ports that are free, then a look at the
// dashboard's page and at one snapshot of the stream that the page draws.

import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { type Snapshot, snapshot } from "../../src/control/admin/schemas.ts";
import { until, within } from "../support/until.ts";
import { Wire, WireServer } from "../support/wire.ts";
import { type ProxyProcess, startProxy } from "./proxy-process.ts";

setDefaultTimeout(60_000);

const README = readFileSync(join(import.meta.dir, "../../README.md"), "utf8");

/** Arguments of the first command of README that fits. */
function commandOf(pattern: RegExp): string[] {
  const line = README.split("\n").find((each) => pattern.test(each));
  const [command = ""] = line!.split("#");
  const [program, ...args] = command.trim().split(/ +/);
  expect(program).toBe("proxy");
  return args;
}

async function snapshotOf(admin: string): Promise<Snapshot> {
  const response = await fetch(`http://${admin}/api/stream`, { keepalive: false });
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("\n\n")) {
    const { done, value } = await within("a snapshot", reader.read());
    if (done) throw new Error(`the stream ended after ${text}`);
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel();
  return snapshot.parse(JSON.parse(text.slice(text.indexOf("data: ") + 6, text.indexOf("\n\n"))));
}

async function expectPage(admin: string): Promise<void> {
  const page = await fetch(`http://${admin}/`);
  expect(page.status).toBe(200);
  expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(await page.text()).toContain("<title>proxy</title>");
}

async function end(child: ProxyProcess): Promise<void> {
  child.kill("SIGINT"); // Ctrl-C
  expect((await within("the end", child.outcome, 20_000)).code).toBe(0);
}

test("a proxy with a dashboard, as README starts it, shows what passes, and who cannot be reached", async () => {
  const target = await WireServer.echo();
  const places: Record<string, string> = { "-listen": ":0", "-target": target.target };
  const args = commandOf(/^proxy -listen .* -admin /).map((arg, i, all) =>
    all[i - 1] === "-admin" ? "127.0.0.1:0" : (places[all[i - 1] ?? ""] ?? arg),
  );
  const child = startProxy(...args);
  try {
    const [, admin] = await child.line(/"address":"(\S+?)","msg":"admin listening"/);
    const [, port] = await child.line(/"listen":"\S*?:(\d+)".*"msg":"listening"/);
    await child.line(/"msg":"started"/);
    await expectPage(admin!);
    const wire = await Wire.connect({ host: "127.0.0.1", port: Number(port) });
    await wire.write("hello");
    expect(await wire.readBytes(5)).toBe("hello");
    const busy = await snapshotOf(admin!);
    expect(busy).toMatchObject({
      status: { ready: true, pid: child.pid },
      listeners: [{ connections: { total: 1, active: 1 }, bytes: { up: 5, down: 5 } }],
      targets: [{ name: target.target, health: "up", connects: 1, active: 1 }],
      connections: { matching: 1, connections: [{ target: target.target, bytesUp: 5 }] },
    });
    wire.destroy();

    await target[Symbol.asyncDispose]();
    // The reset may come before the client has seen that it was accepted.
    const lost = await Wire.connect({ host: "127.0.0.1", port: Number(port) }).catch(() => null);
    if (lost !== null) await within("the refusal", lost.ending);
    let after = await snapshotOf(admin!);
    await until("who cannot be reached is told of", async () => {
      after = await snapshotOf(admin!);
      const told = after.events.some(({ message }) => message === "target down");
      return told && after.connections.matching === 0;
    });
    expect(after).toMatchObject({ targets: [{ failures: 1 }] });
    await end(child);
  } finally {
    child.kill("SIGKILL");
  }
});

test("the demo with its own traffic, as README starts it, has a dashboard that shows it", async () => {
  const start = /`npm start -- (.*?)`/.exec(README)![1]!;
  const child = startProxy("demo", ...start.split(" "));
  try {
    const [, admin] = await child.line(/live: http:\/\/(127\.0\.0\.1:\d+)\//);
    await child.line(/https +6 open .* down\n/);
    await expectPage(admin!);
    const { status, listeners, targets, connections } = await snapshotOf(admin!);
    expect(status.ready).toBe(true);
    expect(listeners.map(({ connections: { active } }) => active > 0)).toEqual([true, true, true]);
    expect(listeners[1]!.http!.requests).toBeGreaterThan(0);
    expect(targets.map(({ health }) => health)).toEqual(["up", "up", "up"]);
    expect(connections.matching).toBeGreaterThan(6);
    await end(child);
  } finally {
    child.kill("SIGKILL");
  }
});
