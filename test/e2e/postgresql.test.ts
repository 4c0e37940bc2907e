// PostgreSQL with psql and pgbench, through the proxy, over TCP and over its unix socket.

import { expect } from "bun:test";
import { chownSync } from "node:fs";
import { join } from "node:path";

import { CliRelay } from "../support/cli-relay.ts";
import { Daemon, run, temporaryFolder } from "../support/daemon.ts";
import { forEveryEngine } from "../support/engines.ts";
import { program, testWith } from "../support/programs.ts";

const NEEDED = ["initdb", "postgres", "pgbench", "psql"] as const;
const ROWS = 200_000;
/** 1 + 2 + … + ROWS. */
const SUM = (ROWS * (ROWS + 1)) / 2;

/** PostgreSQL refuses to run as root: Debian's package makes a user for it. */
async function unprivileged(folder: string): Promise<string[]> {
  if (process.getuid?.() !== 0) return [];
  const id = async (flag: string): Promise<number> =>
    Number((await run(["id", flag, "postgres"])).stdout);
  const [user, group] = [await id("-u"), await id("-g")];
  chownSync(folder, user, group);
  return ["setpriv", `--reuid=${user}`, `--regid=${group}`, "--clear-groups"];
}

async function postgres(): Promise<Daemon> {
  const folder = temporaryFolder();
  const as = await unprivileged(folder);
  const data = join(folder, "data");
  const initialise = ["-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"];
  await run([...as, program("initdb"), ...initialise], { env: { LC_ALL: "C" } });
  return Daemon.start(
    (_folder, port) => {
      const listen = ["-p", `${port}`, "-h", "127.0.0.1", "-k", folder];
      const small = ["-c", "fsync=off", "-c", "max_connections=40", "-c", "shared_buffers=16MB"];
      return [...as, program("postgres"), "-D", data, ...listen, ...small];
    },
    { folder },
  );
}

forEveryEngine((engine) => {
  testWith(NEEDED, `psql and pgbench (${engine})`, async () => {
    await using server = await postgres();
    await using overTcp = await CliRelay.start(engine, `127.0.0.1:${server.port}`);
    const socket = `unix:${join(server.folder, `.s.PGSQL.${server.port}`)}`;
    await using overUnix = await CliRelay.start(engine, socket);
    const at = (relay: CliRelay): string[] => [
      "-h",
      "127.0.0.1",
      "-p",
      `${relay.port}`,
      "-U",
      "tester",
    ];

    for (const relay of [overTcp, overUnix]) {
      const psql = [
        program("psql"),
        ...at(relay),
        "-d",
        "postgres",
        "-v",
        "ON_ERROR_STOP=1",
        "-qAt",
      ];
      const numbers = `copy (select g, repeat('x', 50) from generate_series(1, ${ROWS}) g) to stdout`;
      const rows = (await run([...psql, "-c", numbers])).stdout.trim().split("\n");
      expect(rows).toHaveLength(ROWS);
      expect(rows.reduce((sum, row) => sum + Number.parseInt(row, 10), 0)).toBe(SUM);
      await run([...psql, "-c", "create table copied (n int, filler text)"]);
      const upload = Buffer.from(`${rows.join("\n")}\n`);
      await run([...psql, "-c", "copy copied from stdin"], { stdin: upload });
      const sum = await run([...psql, "-c", "select sum(n) from copied; drop table copied"]);
      expect(sum.stdout.trim()).toBe(String(SUM));
    }

    const bench = [program("pgbench"), ...at(overTcp)];
    await run([...bench, "-i", "-q", "-s", "1", "postgres"]);
    for (const style of [[], ["-C"]]) {
      const load = ["-c", "8", "-j", "1", "-T", "2", "-S", ...style];
      const { stdout } = await run([...bench, ...load, "postgres"]);
      expect(stdout).toContain("number of failed transactions: 0");
      expect(Number(/actually processed: (\d+)/.exec(stdout)?.[1])).toBeGreaterThan(50);
    }
  });
});
