// Upgrades while wrk asks nginx through the proxy, a connection for each request: not one is refused or cut.
// UPGRADE_SECONDS makes the load last longer.

import { expect } from "bun:test";

import { inFolder, run } from "../support/daemon.ts";
import { ENGINES } from "../support/engines.ts";
import { startNginx } from "../support/nginx.ts";
import { program, testWith } from "../support/programs.ts";
import { Service } from "../support/service.ts";
import { until } from "../support/until.ts";

const SECONDS = Number(process.env.UPGRADE_SECONDS ?? 6);

/** Upgrades, one after another, for as long as the load goes on. @returns how many, and what the load said. */
async function upgradeUnder(
  command: readonly string[],
  service: Service,
): Promise<{ upgrades: number; stdout: string }> {
  let goesOn = true;
  const load = run(command, { timeoutMs: (SECONDS + 30) * 1_000 }).finally(() => (goesOn = false));
  let upgrades = 0;
  while (goesOn) {
    const old = service.pid;
    await service.upgrade();
    upgrades++;
    await until("the old process has ended", () => !isAlive(old), 40_000);
  }
  return { upgrades, stdout: (await load).stdout };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const relays = ENGINES.map((name) => ["-engine", name]);
for (const flags of [...relays, ["-protocol", "http"]]) {
  testWith(
    ["nginx", "wrk"],
    `upgrades under load, one after another, and not one connection is refused or cut (${flags.join(" ")})`,
    () =>
      inFolder(async (folder) => {
        await using server = await startNginx({ small: "hello" });
        const target = `127.0.0.1:${server.port}`;
        await using service = await Service.start(
          folder,
          "-listen",
          "127.0.0.1:0",
          "-target",
          target,
          ...flags,
        );
        const url = `http://127.0.0.1:${await service.port()}/small`;
        const close = ["-H", "Connection: close"];
        const wrk = [program("wrk"), "-t1", "-c32", `-d${SECONDS}s`, ...close, url];
        const { upgrades, stdout } = await upgradeUnder(wrk, service);
        if (process.env.UPGRADE_SECONDS !== undefined) {
          process.stderr.write(`${flags.join(" ")}, ${upgrades} upgrades\n${stdout}`);
        }
        expect(upgrades).toBeGreaterThanOrEqual(2);
        expect(stdout).not.toContain("Socket errors");
        expect(stdout).not.toContain("Non-2xx");
        expect(Number(/(\d+) requests in/.exec(stdout)?.[1])).toBeGreaterThan(500);
        const { code, stderr } = await service.stop();
        expect(code).toBe(0);
        expect(stderr).not.toMatch(/"level":"(warn|error)"/);
        expect(stderr.match(/"msg":"replaced, draining"/g)).toHaveLength(upgrades);
        expect(stderr.match(/"reset":0,"msg":"stopped"/g)).toHaveLength(upgrades + 1);
      }),
    (SECONDS + 60) * 1_000,
  );
}
