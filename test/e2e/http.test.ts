// curl and wrk against nginx, through the proxy.

import { expect } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { CliRelay } from "../support/cli-relay.ts";
import { type Daemon, run } from "../support/daemon.ts";
import { forEveryEngine } from "../support/engines.ts";
import { startNginx } from "../support/nginx.ts";
import { program, testWith } from "../support/programs.ts";

const SMALL = "hello from nginx\n";
const LARGE_BYTES = 20_000_003;

function nginx(): Promise<Daemon> {
  return startNginx({ small: SMALL, large: randomBytes(LARGE_BYTES) });
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

forEveryEngine((engine) => {
  testWith(["nginx", "curl"], `curl downloads from nginx (${engine})`, async () => {
    await using server = await nginx();
    await using relay = await CliRelay.start(engine, `127.0.0.1:${server.port}`);
    const url = `http://127.0.0.1:${relay.port}`;
    const { stdout } = await run([program("curl"), "-sS", "--fail", `${url}/small`]);
    expect(stdout).toBe(SMALL);
    const saved = join(server.folder, "saved");
    await run([program("curl"), "-sS", "--fail", "-o", saved, `${url}/large`]);
    const original = readFileSync(join(server.folder, "www", "large"));
    expect(sha256(readFileSync(saved))).toBe(sha256(original));
    const range = join(server.folder, "range");
    await run([program("curl"), "-sS", "--fail", "-r", "1000-1999", "-o", range, `${url}/large`]);
    expect(readFileSync(range).equals(original.subarray(1000, 2000))).toBe(true);
  });

  testWith(
    ["nginx", "curl"],
    `curl through a unix socket to a unix socket (${engine})`,
    async () => {
      await using server = await nginx();
      const listen = join(server.folder, "listen.sock");
      const target = `unix:${join(server.folder, "http.sock")}`;
      await using _relay = await CliRelay.start(engine, target, `unix:${listen}`);
      const get = [program("curl"), "-sS", "--fail", "--unix-socket", listen];
      const { stdout } = await run([...get, "http://any.host/small"]);
      expect(stdout).toBe(SMALL);
    },
  );

  testWith(["nginx", "wrk"], `wrk sees no error on 64 connections (${engine})`, async () => {
    await using server = await nginx();
    await using relay = await CliRelay.start(engine, `127.0.0.1:${server.port}`);
    const url = `http://127.0.0.1:${relay.port}/small`;
    const { stdout } = await run([program("wrk"), "-t1", "-c64", "-d2s", url]);
    expect(stdout).not.toContain("Socket errors");
    expect(stdout).not.toContain("Non-2xx");
    expect(Number(/(\d+) requests in/.exec(stdout)?.[1])).toBeGreaterThan(1_000);
  });

  testWith(["nginx", "wrk"], `wrk with a connection for each request (${engine})`, async () => {
    await using server = await nginx();
    await using relay = await CliRelay.start(engine, `127.0.0.1:${server.port}`);
    const url = `http://127.0.0.1:${relay.port}/small`;
    const close = ["-H", "Connection: close"];
    const { stdout } = await run([program("wrk"), "-t1", "-c16", "-d2s", ...close, url]);
    expect(stdout).not.toContain("Socket errors");
    expect(stdout).not.toContain("Non-2xx");
    expect(Number(/(\d+) requests in/.exec(stdout)?.[1])).toBeGreaterThan(500);
  });
});
