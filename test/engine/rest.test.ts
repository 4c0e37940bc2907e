// Connections that wait cost no CPU time: idle ones, half-closed ones, stalled ones, and unix sockets whose client is gone.
import { expect, test } from "bun:test";

import { inFolder } from "../support/daemon.ts";
import { forEveryEngine } from "../support/engines.ts";
import { makePlan } from "../support/plan.ts";
import { cpuMs } from "../support/proc.ts";
import { RelayChild } from "../support/relay-child.ts";
import { until, within } from "../support/until.ts";
import { type Wire, WireServer } from "../support/wire.ts";

const EACH = 10;
const WATCHED_MS = 1_000;

forEveryEngine((engine) => {
  for (const kind of ["TCP", "unix"] as const) {
    test.if(process.platform === "linux")(
      `waiting ${kind} connections cost no CPU time, whatever they wait for`,
      () =>
        inFolder(async (folder) => {
          const listen = kind === "TCP" ? "127.0.0.1:0" : `unix:${folder}/listen`;
          const at = kind === "TCP" ? { host: "127.0.0.1" } : { path: `${folder}/target` };
          await using server = await WireServer.listen(undefined, at);
          await using relay = await RelayChild.start(
            makePlan({ engine }, { listen, target: server.target }),
          );
          const pair = async (): Promise<{ client: Wire; target: Wire }> => {
            const client = await relay.connect();
            return { client, target: await within("the target", server.accept()) };
          };
          for (let i = 0; i < EACH; i++) {
            await pair(); // idle
            (await pair()).client.end();
            (await pair()).target.end();
            const up = await pair();
            up.target.socket.pause();
            void up.client.sendStream(1, 64_000_000);
            const gone = await pair();
            gone.target.socket.pause();
            void gone.client.sendStream(1, 64_000_000);
            await until("it is held back", () => gone.client.socket.writableNeedDrain);
            gone.client.destroy(); // FIN for TCP, both directions for a unix socket
          }
          await Bun.sleep(200); // until everything has come to rest
          const before = cpuMs(relay.pid);
          await Bun.sleep(WATCHED_MS); // time itself is what is tested
          expect(cpuMs(relay.pid) - before).toBeLessThan(WATCHED_MS / 5);
        }),
      30_000,
    );
  }
});
