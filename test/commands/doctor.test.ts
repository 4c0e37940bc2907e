// `proxy doctor` on this very machine: it ends, tells what is wrong with a configuration, and sees a proxy that runs.

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Finding } from "../../src/doctor/finding.ts";
import { freePort } from "../support/daemon.ts";
import { runProxy, startProxy } from "./proxy-process.ts";

const folder = mkdtempSync(join(tmpdir(), "proxy-doctor-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function examine(text: string): Promise<{ code: number | null; findings: Finding[] }> {
  const file = join(folder, "proxy.yaml");
  writeFileSync(file, text);
  const { code, stdout, stderr } = await runProxy("doctor", "-json", "-config", file);
  expect(stderr).toBe("");
  return { code, findings: JSON.parse(stdout) as Finding[] };
}

const listener = (port: number, target: number): string =>
  `protocols: [{ name: tcp, listen: "127.0.0.1:${port}", target: "127.0.0.1:${target}" }]\n`;

test("a machine alone is examined, for people", async () => {
  const { stdout, stderr } = await runProxy("doctor");
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^(ok|warning|PROBLEM) +clock +it says \d{4}-/m);
  expect(stdout).toMatch(/ engine +\w+ runs/);
  expect(stdout).toMatch(/\n\n\d+ problems?, \d+ warnings?\n$/);
});

test("who has a port, and a target that does not answer, are found", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  const port = await new Promise<number>((resolve) => {
    server.once("listening", () => resolve((server.address() as { port: number }).port));
  });
  const closed = await freePort();
  const { code, findings } = await examine(listener(port, closed));
  server.close();
  expect(code).toBe(1);
  const problems = findings.filter(({ result }) => result === "problem");
  expect(problems.map(({ check }) => check)).toEqual(["ports", "targets"]);
  if (process.platform === "linux") expect(problems[0]!.finding).toContain(`(pid ${process.pid})`);
  expect(problems.every(({ cure }) => cure !== null)).toBe(true);
}, 30_000);

test("a proxy that runs with it is no problem, and neither is a target that answers", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  const target = await new Promise<number>((resolve) => {
    server.once("listening", () => resolve((server.address() as { port: number }).port));
  });
  const port = await freePort();
  const proxy = startProxy("-listen", `127.0.0.1:${port}`, "-target", `127.0.0.1:${target}`);
  try {
    await proxy.line(/started|forwarding|listening/);
    const { code, findings } = await examine(listener(port, target));
    expect(code).toBe(0);
    expect(findings.slice(0, 2)).toEqual([
      {
        check: "ports",
        result: "ok",
        finding: `tcp 127.0.0.1:${port}: served by a proxy that runs, pid ${proxy.pid}`,
        cure: null,
      },
      {
        check: "targets",
        result: "ok",
        finding: `127.0.0.1:${target}: accepts connections`,
        cure: null,
      },
    ]);
  } finally {
    proxy.kill("SIGTERM");
    await proxy.outcome;
    server.close();
  }
}, 30_000);

test("a wrong configuration is exit code 2", async () => {
  const { code, stderr } = await runProxy("doctor", "-config", join(folder, "none.yaml"));
  expect(code).toBe(2);
  expect(stderr).not.toBe("");
});
