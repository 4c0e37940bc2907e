// Redis with its own client and benchmark, through the proxy, over TCP and over its unix socket.

import { expect } from "bun:test";
import { randomBytes } from "node:crypto";
import { join } from "node:path";

import { CliRelay } from "../support/cli-relay.ts";
import { Daemon, run } from "../support/daemon.ts";
import { forEveryEngine } from "../support/engines.ts";
import { program, testWith } from "../support/programs.ts";

function redis(): Promise<Daemon> {
  return Daemon.start((folder, port) => {
    const listen = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder];
    const memoryOnly = ["--save", "", "--appendonly", "no"];
    const unix = ["--unixsocket", join(folder, "redis.sock")];
    return [program("redis-server"), ...listen, ...memoryOnly, ...unix];
  });
}

const NEEDED = ["redis-server", "redis-benchmark", "redis-cli"] as const;

forEveryEngine((engine) => {
  for (const way of ["TCP", "a unix socket"] as const) {
    testWith(NEEDED, `redis-benchmark and redis-cli over ${way} (${engine})`, async () => {
      await using server = await redis();
      const target =
        way === "TCP" ? `127.0.0.1:${server.port}` : `unix:${join(server.folder, "redis.sock")}`;
      await using relay = await CliRelay.start(engine, target);
      const port = ["-h", "127.0.0.1", "-p", `${relay.port}`];

      const load = ["-n", "20000", "-c", "50", "-P", "4", "-d", "100", "-t", "set,get,lrange_100"];
      const { stdout, stderr } = await run([program("redis-benchmark"), ...port, ...load, "--csv"]);
      expect(stderr).not.toContain("Error");
      const rates = stdout.split("\n").filter((line) => /^"(SET|GET|LRANGE_100)/.test(line));
      expect(rates).toHaveLength(3);
      for (const line of rates) {
        expect(Number(line.split(",")[1]!.replaceAll('"', ""))).toBeGreaterThan(0);
      }

      const value = randomBytes(1_500_000).toString("base64");
      const cli = [program("redis-cli"), ...port];
      await run([...cli, "-x", "set", "large"], { stdin: Buffer.from(value) });
      expect((await run([...cli, "get", "large"])).stdout.trim()).toBe(value);
    });
  }
});
