// Upgrades while clients ask over UDP, without a pause: every datagram is answered, by the process that read it.

import { expect, test } from "bun:test";

import { inFolder } from "../support/daemon.ts";
import { Service } from "../support/service.ts";
import { Datagrams } from "../support/udp.ts";
import { until } from "../support/until.ts";

const CLIENTS = 8;
const UPGRADES = 2;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Asks again as soon as it was answered, until told to stop. @returns how often. */
async function askOn(client: Datagrams, port: number, goesOn: () => boolean): Promise<number> {
  let asked = 0;
  while (goesOn()) {
    const question = `${client.address.port} ${asked}`;
    const { data } = await client.ask(question, { host: client.address.host, port });
    expect(data.toString()).toBe(question);
    asked++;
  }
  return asked;
}

for (const [listen, host] of [
  ["127.0.0.1:0", "127.0.0.1"],
  [":0", "127.0.0.2"],
] as const) {
  for (const workers of [1, 2]) {
    test(
      `upgrades lose no datagram (${listen}, ${workers} workers)`,
      () =>
        inFolder(async (folder) => {
          await using target = await Datagrams.echo();
          const flags = ["-protocol", "udp", "-listen", listen, "-target", target.target];
          await using service = await Service.start(folder, ...flags, "-workers", `${workers}`);
          const port = await service.port();
          const clients = await Promise.all(
            Array.from({ length: CLIENTS }, () => Datagrams.open(host)),
          );
          let goesOn = true;
          const asking = clients.map((client) => askOn(client, port, () => goesOn));
          try {
            for (let i = 0; i < UPGRADES; i++) {
              const old = service.pid;
              await service.upgrade();
              await until("the old process has ended", () => !isAlive(old), 40_000);
            }
            goesOn = false;
            const asked = await Promise.all(asking);
            expect(Math.min(...asked)).toBeGreaterThan(10);
          } finally {
            goesOn = false;
            await Promise.allSettled(asking);
            await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
          }
          const { code, stderr } = await service.stop();
          expect(code).toBe(0);
          expect(stderr).not.toMatch(/"level":"(warn|error)"/);
          expect(stderr.match(/"msg":"replaced, draining"/g)).toHaveLength(UPGRADES);
        }),
      60_000,
    );
  }
}
