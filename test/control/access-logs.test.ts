// Files of access logs: shared by listeners, opened anew after a rotation, and what is lost is told.

import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { AccessLogs } from "../../src/control/access-logs.ts";
import { ProxyError } from "../../src/shared/errors.ts";
import type { Log } from "../../src/shared/log.ts";
import type { ListenerPlan } from "../../src/shared/plan.ts";
import { until } from "../support/until.ts";

const listener = (key: string, path: string): ListenerPlan =>
  ({ key, protocol: "http", accessLog: { path, format: "json" } }) as unknown as ListenerPlan;
const event = (key: string, text: string) =>
  ({
    type: "access_log",
    key,
    bytes: Buffer.from(text),
    lines: text.split("\n").length - 1,
  }) as const;

function scratch(): { folder: string; [Symbol.dispose](): void } {
  const folder = mkdtempSync(join(tmpdir(), "access-"));
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

function recorder(): { log: Log; lines: [Record<string, unknown>, string][] } {
  const lines: [Record<string, unknown>, string][] = [];
  const note = (fields: object, message: string): void => {
    lines.push([fields as Record<string, unknown>, message]);
  };
  return { log: { debug: note, info: note, warn: note, error: note }, lines };
}

test("listeners that name one file share it, and it is appended to, for its owner and group alone", async () => {
  using place = scratch();
  const path = join(place.folder, "access.log");
  const { log, lines } = recorder();
  for (const round of [1, 2]) {
    const logs = new AccessLogs(log);
    logs.prepare([listener("http :80", path), listener("http :81", path)]).commit();
    logs.write(event("http :80", `a${round}\n`));
    logs.write(event("http :81", `b${round}\nc${round}\n`));
    logs.write(event("http :82", "nobody\n"));
    await logs.close();
  }
  expect(readFileSync(path, "utf8")).toBe("a1\nb1\nc1\na2\nb2\nc2\n");
  expect(statSync(path).mode & 0o777 & ~0o640).toBe(0);
  expect(lines).toEqual([]);
});

test("after a rotation lines go to a new file, and none is lost on the way", async () => {
  using place = scratch();
  const path = join(place.folder, "access.log");
  const { log } = recorder();
  const logs = new AccessLogs(log);
  logs.prepare([listener("http :80", path)]).commit();
  const before = Array.from({ length: 500 }, (_, i) => `before ${i}\n`);
  for (const text of before) logs.write(event("http :80", text));
  renameSync(path, `${path}.1`);
  expect(logs.reopen()).toBe(true);
  logs.write(event("http :80", "after\n"));
  await logs.close();
  const all = readFileSync(`${path}.1`, "utf8") + readFileSync(path, "utf8");
  expect(all).toBe(`${before.join("")}after\n`);
  expect(readFileSync(path, "utf8")).toEndWith("after\n");
});

test("a file that cannot be opened anew goes on, and the log says why", async () => {
  using place = scratch();
  const folder = join(place.folder, "logs");
  const path = join(folder, "access.log");
  const { log, lines } = recorder();
  const logs = new AccessLogs(log);
  await Bun.write(path, "");
  logs.prepare([listener("http :80", path)]).commit();
  renameSync(folder, `${folder}.old`);
  expect(logs.reopen()).toBe(true);
  logs.write(event("http :80", "on\n"));
  await logs.close();
  expect(readFileSync(join(`${folder}.old`, "access.log"), "utf8")).toBe("on\n");
  expect(lines).toEqual([
    [{ error: expect.stringContaining(path) }, "access log cannot be opened anew"],
  ]);
});

test("a file that cannot be opened is an error that says what to do", async () => {
  const logs = new AccessLogs(recorder().log);
  const open = (): void =>
    logs.prepare([listener("http :80", "/nowhere/at/all/access.log")]).commit();
  expect(open).toThrow(ProxyError);
  expect(open).toThrow("Name a file in a folder");
  await logs.close();
});

test.skipIf(process.platform === "win32")("a pipe that nobody reads stops nobody", async () => {
  using place = scratch();
  const path = join(place.folder, "pipe");
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  const logs = new AccessLogs(recorder().log);
  expect(() => logs.prepare([listener("http :80", path)]).commit()).toThrow("ENXIO");
  await logs.close();
});

test("without files there is nothing to open anew", () => {
  const logs = new AccessLogs(recorder().log);
  logs.prepare([]).commit();
  expect(logs.reopen()).toBe(false);
});

test.skipIf(process.platform !== "linux")(
  "lines that the disk does not take are counted, and told of once",
  async () => {
    const { log, lines } = recorder();
    const logs = new AccessLogs(log);
    logs.prepare([listener("http :80", "/dev/full")]).commit();
    logs.write(event("http :80", "a\nb\n"));
    await until("the loss is told", () => {
      logs.write(event("http :80", "c\n"));
      return lines.length > 0;
    });
    await logs.close();
    const counts = lines.map(([fields, message]) => {
      expect(message).toBe("access log lines were lost");
      return fields["count"] as number;
    });
    expect(counts[0]).toBeGreaterThanOrEqual(2);
    expect(counts.length).toBeLessThanOrEqual(2);
  },
);
