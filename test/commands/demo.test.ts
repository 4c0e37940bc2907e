// `proxy demo`: what it prints can be tried, and it ends cleanly.

import { expect, setDefaultTimeout, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";

import { CounterBoard, readable } from "../../src/commands/counter-board.ts";
import type { Certificates } from "../../src/control/admin/schemas.ts";
import { startDemoBackends } from "../../src/control/demo.ts";
import { FILE_DAYS } from "../../src/dashboard/attention.ts";
import { emptyStats } from "../../src/shared/counters.ts";
import { inFolder } from "../support/daemon.ts";
import { within } from "../support/until.ts";
import { type ProxyProcess, runProxy, startProxy } from "./proxy-process.ts";

/** Two processes start one after the other, on a machine that may be busy. */
setDefaultTimeout(30_000);

test("the printed addresses serve a page and an echo, counters follow, and SIGINT ends with 0", async () => {
  const child = startProxy("demo");
  const [, http] = await child.line(/http {3}(127\.0\.0\.1:\d+) {2}->/);
  const [, echoPort] = await child.line(/echo {3}127\.0\.0\.1:(\d+) {2}->/);
  await child.line(/Ctrl-C ends/);
  const page = await fetch(`http://${http}/`);
  expect(page.headers.get("content-type")).toStartWith("text/html");
  expect(await page.text()).toContain("This page came through the proxy.");
  const seen = (await (await fetch(`http://${http}/headers`)).json()) as {
    headers: { host: string };
  };
  expect(seen.headers.host).toBe(http!);
  const big = await fetch(`http://${http}/bytes?n=3MB`);
  expect((await big.arrayBuffer()).byteLength).toBe(3 * 1024 * 1024);
  expect(await echoOf(Number(echoPort), "all of it")).toBe("all of it");
  await child.line(/echo +\d+ open +1 in all +9 B up +9 B down/);
  child.kill("SIGINT");
  const { code, stdout, stderr } = await child.outcome;
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).not.toContain("\u001B"); // not a terminal
});

test("the dashboard is at the address that it prints, and has traffic of the demo's own if that is asked for", async () => {
  const child = startProxy("demo", "-traffic");
  const [, dashboard] = await child.line(/live: (http:\/\/127\.0\.0\.1:\d+\/)/);
  const page = await fetch(dashboard!);
  expect([page.status, page.headers.get("content-type")]).toEqual([
    200,
    "text/html; charset=utf-8",
  ]);
  await child.line(/https +6 open +6 in all +.* down/);
  await child.line(/echo +3 open +3 in all +.* [KM]B down/);
  child.kill("SIGINT");
  const { code, stderr } = await child.outcome;
  expect([code, stderr]).toEqual([0, ""]);
});

test("a second demo beside the first takes other ports", async () => {
  const first = startProxy("demo");
  const [, one] = await first.line(/http {3}127\.0\.0\.1:(\d+)/);
  const second = startProxy("demo");
  const [, other] = await second.line(/http {3}127\.0\.0\.1:(\d+)/);
  expect(other).not.toBe(one!);
  first.kill("SIGTERM");
  second.kill("SIGTERM");
  expect([(await first.outcome).code, (await second.outcome).code]).toEqual([0, 0]);
});

/** What the demo prints of its TLS listener. */
async function secureOf(child: ProxyProcess): Promise<{ url: string; root: string }> {
  const [, root, url] = await child.line(/curl --cacert (\S+) (https:\/\/localhost:\d+)\/headers/);
  await child.line(/Ctrl-C ends/);
  return { root: root!, url: url! };
}

test("over TLS its certificate is believed with the authority that it prints, which goes with the demo", async () => {
  const child = startProxy("demo");
  const { url, root } = await secureOf(child);
  const tls = { ca: readFileSync(root, "utf8") };
  const page = await fetch(url, { tls });
  expect(await page.text()).toContain("This page came through the proxy.");
  expect(page.headers.get("alt-svc")).toMatch(/^h3=":\d+"/);
  await expect(fetch(url)).rejects.toThrow("certificate");
  const [, dashboard] = await child.line(/live: (http:\/\/127\.0\.0\.1:\d+\/)/);
  const { files } = (await (await fetch(`${dashboard}api/certificates`)).json()) as Certificates;
  const daysLeft = (files[0]!.notAfterMs - Date.now()) / 86_400_000;
  expect(daysLeft).toBeGreaterThan(FILE_DAYS); // or the dashboard's first line would be a warning
  child.kill("SIGINT");
  const { code, stderr } = await child.outcome;
  expect([code, stderr]).toEqual([0, ""]);
  expect(existsSync(root)).toBe(false);
});

test("an authority that it is to keep is the same the next time, and is what proxy trust tells of", () =>
  inFolder(async (folder) => {
    const storage = join(folder, "kept");
    const roots: string[] = [];
    for (let i = 0; i < 2; i++) {
      const child = startProxy("demo", "-storage", storage);
      const { url, root } = await secureOf(child);
      roots.push(readFileSync(root, "utf8"));
      expect((await fetch(url, { tls: { ca: roots[0]! } })).status).toBe(200);
      child.kill("SIGTERM");
      expect((await child.outcome).code).toBe(0);
    }
    expect(roots[1]).toBe(roots[0]!);
    const { stdout } = await runProxy("trust", "-storage", storage);
    const { fingerprint256 } = new X509Certificate(roots[0]!);
    expect(stdout).toContain(fingerprint256.slice(0, 47));
  }));

function echoOf(port: number, text: string): Promise<string> {
  const got = Promise.withResolvers<string>();
  const socket = connect({ port, host: "127.0.0.1" }, () => socket.end(text));
  let back = "";
  socket.on("data", (data) => (back += data.toString()));
  socket.on("end", () => got.resolve(back));
  socket.on("error", got.reject);
  return within("the echo", got.promise);
}

test("the backend refuses sizes that it cannot send, and paths that it does not have", async () => {
  await using backends = await startDemoBackends();
  const base = `http://127.0.0.1:${backends.http.port}`;
  expect((await fetch(`${base}/bytes?n=lots`)).status).toBe(400);
  expect((await fetch(`${base}/bytes?n=999GB`)).status).toBe(400);
  expect((await (await fetch(`${base}/bytes?n=0`)).arrayBuffer()).byteLength).toBe(0);
  expect((await fetch(`${base}/nothing`)).status).toBe(404);
});

test("the board draws over itself on a terminal, and appends elsewhere only what changed", () => {
  const rows = [{ name: "http", key: "k" }];
  const stats = emptyStats(1);
  const capture = (isTTY: boolean) => {
    const written: string[] = [];
    return { isTTY, written, write: (text: string) => written.push(text) };
  };
  const terminal = capture(true);
  const plain = capture(false);
  const boards = [new CounterBoard(terminal, rows), new CounterBoard(plain, rows)];
  for (const board of boards) board.show({ k: stats }, 0);
  expect([...terminal.written, ...plain.written]).toEqual([]); // nothing has happened yet
  stats.total = 1;
  stats.bytesDown = 2_000_000;
  for (const board of boards) board.show({ k: stats }, 1_000);
  for (const board of boards) board.show({ k: stats }, 2_500);
  stats.total = 2;
  for (const board of boards) board.show({ k: stats }, 4_000);
  expect(plain.written).toEqual([
    "  http    0 open      1 in all       0 B up    1.9 MB down\n",
    "  http    0 open      2 in all       0 B up    1.9 MB down\n",
  ]);
  expect(terminal.written[0]).not.toContain("\u001B[1A");
  expect(terminal.written.at(-1)).toStartWith("\u001B[1A\r\u001B[2K");
});

test("byte counts are shown with three digits or so", () => {
  expect([0, 999, 1_000, 1_536, 150_000, 2 ** 20, 2 ** 40].map(readable)).toEqual([
    "0 B",
    "999 B",
    "1.0 KB",
    "1.5 KB",
    "146 KB",
    "1.0 MB",
    "1.0 TB",
  ]);
});
