// What a message costs in system calls, counted by strace: what ARCHITECTURE.md says of the engines is true of this build.

import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import type { EngineName } from "../../src/shared/plan.ts";
import { inFolder } from "../support/daemon.ts";
import { ENGINES } from "../support/engines.ts";
import { makePlan } from "../support/plan.ts";
import { program, testWith } from "../support/programs.ts";
import { RelayChild } from "../support/relay-child.ts";
import { within } from "../support/until.ts";
import { type Wire, WireServer } from "../support/wire.ts";

const ROUNDS = 200;
const MESSAGE = Buffer.from("a message that fits into any buffer\n");
/** Calls at the edges of the measurement, sweeps, and what the kernel delivers in two parts. */
const SLACK = 60;

/** All that could move a byte, ask for readiness, or enter the ring. */
const ENTERS = "io_uring_enter,epoll_wait,epoll_pwait,epoll_pwait2,epoll_ctl,accept4";
const MOVES = "recvfrom,sendto,recvmsg,sendmsg,readv,writev,splice";

type Counts = Record<string, number>;

/** Lines of `strace -f -o`: a thread's number, then its call. An interrupted call has two lines; the first one counts. */
function callsByThread(trace: string): Map<string, Counts> {
  const threads = new Map<string, Counts>();
  for (const line of trace.split("\n")) {
    const match = /^(\d+) +(\w+)\(/.exec(line);
    if (match === null) continue;
    const [, thread = "", call = ""] = match;
    const counts = threads.get(thread) ?? {};
    counts[call] = (counts[call] ?? 0) + 1;
    threads.set(thread, counts);
  }
  return threads;
}

async function pingPong(client: Wire): Promise<void> {
  let received = 0;
  let round = (): void => {};
  client.onData((chunk) => {
    received += chunk.length;
    round();
  });
  for (let i = 1; i <= ROUNDS; i++) {
    const answered = new Promise<void>((resolve) => {
      round = () => received === i * MESSAGE.length && resolve();
    });
    client.socket.write(MESSAGE);
    await answered;
  }
}

/** Calls of the thread that made most, while `connections` connections exchange ROUNDS messages and answers each. */
async function measure(engine: EngineName, connections: number): Promise<Counts> {
  let counts: Counts = {};
  await inFolder(async (folder) => {
    const path = join(folder, "trace");
    // -D: the proxy is the test's child, and strace its.
    const flags = [
      "-D",
      "-f",
      "-qq",
      "-e",
      `trace=${ENTERS},${MOVES}`,
      "-e",
      "signal=none",
      "-o",
      path,
    ];
    await using server = await WireServer.echo();
    await using relay = await RelayChild.start(makePlan({ engine }, { target: server.target }), {
      under: [program("strace"), ...flags],
    });
    const clients: Wire[] = [];
    for (let i = 0; i < connections; i++) clients.push(await relay.connect());
    await within("warm", Promise.all(clients.map(pingPong)), 30_000);
    const before = callsByThread(readFileSync(path, "latin1"));
    await within("all answers", Promise.all(clients.map(pingPong)), 30_000);
    const after = callsByThread(readFileSync(path, "latin1"));
    let most = 0;
    for (const [thread, calls] of after) {
      const were = before.get(thread) ?? {};
      const made = Object.entries(calls).map(([call, count]) => [call, count - (were[call] ?? 0)]);
      const here = Object.fromEntries(made.filter(([, count]) => Number(count) > 0)) as Counts;
      const sum = Object.values(here).reduce((total, count) => total + count, 0);
      if (sum <= most) continue;
      most = sum;
      counts = here;
    }
  });
  return counts;
}

for (const connections of [1, 8]) {
  const messages = 2 * connections * ROUNDS; // there and back
  if (ENGINES.includes("uring")) {
    testWith(
      ["strace"],
      `uring: ${messages} messages on ${connections} connections cost at most one entry each, and one send where one is alone`,
      async () => {
        const measured = await measure("uring", connections);
        const { io_uring_enter: enters = 0, sendto = 0, ...others } = measured;
        expect(others).toEqual({});
        expect(enters).toBeLessThanOrEqual(messages + SLACK);
        expect(enters).toBeGreaterThan(connections); // it was traced
        // Messages that come together are sent by the ring, a lone one by a call of its own.
        expect(sendto).toBeLessThanOrEqual(messages);
        if (connections === 1) expect(sendto).toBeGreaterThanOrEqual(messages - SLACK);
        expect(enters + sendto).toBeLessThanOrEqual(2 * messages + SLACK);
      },
    );
  }

  if (ENGINES.includes("epoll")) {
    testWith(
      ["strace"],
      `epoll: ${messages} messages on ${connections} connections cost one recv, one send and at most one wait each`,
      async () => {
        const {
          recvfrom = 0,
          sendto = 0,
          epoll_wait: waits = 0,
          ...others
        } = await measure("epoll", connections);
        expect(others).toEqual({});
        for (const calls of [recvfrom, sendto]) {
          expect(calls).toBeGreaterThanOrEqual(messages);
          expect(calls).toBeLessThanOrEqual(messages + SLACK);
        }
        expect(waits).toBeLessThanOrEqual(messages + SLACK);
      },
    );
  }
}
