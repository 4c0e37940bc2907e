// 20,000 short connections, after which the process holds exactly what it held before: descriptors, pipes, rows.

import { expect, test } from "bun:test";

import type { EngineName } from "../../src/shared/plan.ts";
import { forEveryEngine } from "../support/engines.ts";
import { makePlan } from "../support/plan.ts";
import { countDescriptors } from "../support/proc.ts";
import { RelayChild } from "../support/relay-child.ts";
import { until, within } from "../support/until.ts";

const CONNECTIONS = 20_000;
const AT_ONCE = 50;
const REQUEST = Buffer.from("GET / HTTP/1.0\r\n\r\n");

interface Tally {
  answered: number;
  reset: number;
}

/** Answers a request by its own bytes and a FIN. Plain runtime sockets: 40,000 of node:net's would be most of the test. */
function answerServer(): { port: number; stop(): void } {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, chunk) {
        socket.end(chunk);
      },
    },
  });
  return { port: server.port, stop: () => server.stop(true) };
}

/** One connection: request, answer, FIN; every eighth is reset by the client in the middle. */
function once(port: number, reset: boolean, tally: Tally): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = 0;
    void Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open(socket) {
          socket.write(REQUEST);
          if (!reset) return;
          tally.reset++;
          socket.terminate();
        },
        data(_socket, chunk) {
          received += chunk.length;
        },
        close() {
          if (received === REQUEST.length) tally.answered++;
          resolve();
        },
        connectError(_socket, error) {
          reject(error);
        },
      },
    }).catch(reject);
  });
}

async function many(port: number, count: number): Promise<Tally> {
  const tally: Tally = { answered: 0, reset: 0 };
  let started = 0;
  const lane = async (): Promise<void> => {
    while (started < count) await once(port, ++started % 8 === 0, tally);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return tally;
}

async function churn(engine: EngineName): Promise<void> {
  const server = answerServer();
  await using relay = await RelayChild.start(
    makePlan({ engine }, { target: `127.0.0.1:${server.port}` }),
  );
  try {
    await many(relay.port, 500); // pools fill, code is compiled
    await until("idle", async () => (await relay.state()).rows === 0);
    const before = countDescriptors(relay.pid);
    const tally = await within("all connections", many(relay.port, CONNECTIONS), 50_000);
    expect(tally).toEqual({ answered: CONNECTIONS * (7 / 8), reset: CONNECTIONS / 8 });
    await until("no row is left", async () => (await relay.state()).rows === 0);
    const { stats, warnings } = await relay.state();
    expect(stats).toMatchObject({ total: CONNECTIONS + 500, active: 0 });
    expect(stats.targets[0]!.active).toBe(0);
    expect(warnings).toEqual([]);
    expect(countDescriptors(relay.pid)).toEqual(before);
  } finally {
    server.stop();
  }
}

forEveryEngine((engine) => {
  test.if(process.platform === "linux")(
    "20,000 short connections leave no descriptor, pipe or row",
    () => churn(engine),
    60_000,
  );
});
