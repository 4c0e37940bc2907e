// Idle connections: by how much the relay's resident memory grows for each of 8,000 connections that have carried one
// message and then rest. A relay has served a few before, so that its first buffers do not count; what it
// takes for more than those does, also where a collector could have given it back.

import { type Child, endChild, firstLine, startChild } from "../children.ts";
import type { HoldRequest } from "../load/hold.ts";
import { residentKib, slabKib } from "../load/usage.ts";
import type { RunningPeer } from "../peers/peer.ts";
import { allowConnections, type Measurement, type Scale } from "./measurement.ts";

const CONNECTIONS = 8_000;
const RUNS = 3; // memory varies little, and a run takes ten seconds
const CONNECTIONS_SMOKE = 100;
const MESSAGE_BYTES = 64;
const WARM = { connections: 10, messages: 50 };
const SETTLED_MS = 1_500; // a collector that runs once a second has run
const SETTLE_MAX_MS = 10_000;
const POLL_MS = 50;

const program = Bun.fileURLToPath(new URL("../load/hold.ts", import.meta.url));

async function hold(request: HoldRequest): Promise<Child> {
  const child = startChild([process.execPath, program, JSON.stringify(request)]);
  await firstLine(child);
  return child;
}

async function release(child: Child): Promise<void> {
  child.stdin.end();
  await child.exited;
  await endChild(child);
}

/** The lowest resident size, once it has not gone lower for SETTLED_MS: collectors give back late, and say nothing. */
async function settledKib(pids: readonly number[], scale: Scale): Promise<number> {
  let lowest = residentKib(pids);
  if (scale.smoke) return lowest;
  const deadline = performance.now() + SETTLE_MAX_MS;
  for (let since = performance.now(); performance.now() < deadline; await Bun.sleep(POLL_MS)) {
    const now = residentKib(pids);
    if (now < lowest) [lowest, since] = [now, performance.now()];
    else if (performance.now() - since > SETTLED_MS) break;
  }
  return lowest;
}

export const idle: Measurement = {
  name: "idle",
  group: "idle",
  title: `Memory for each of ${CONNECTIONS.toLocaleString("en-US")} idle connections`,
  backend: "echo",
  freshPeer: true,
  runs: RUNS,
  columns: [
    { key: "userKib", title: "user KiB", digits: 2, better: "lower" },
    { key: "kernelKib", title: "kernel KiB, with client and backend", digits: 2, better: "lower" },
    { key: "baseMib", title: "process at rest MiB", digits: 1, better: "lower" },
  ],
  async run(peer: RunningPeer, scale: Scale) {
    const connections = scale.smoke ? CONNECTIONS_SMOKE : CONNECTIONS;
    allowConnections(peer, connections);
    const request = { port: peer.port, bytes: MESSAGE_BYTES };
    await release(await hold({ ...request, ...WARM }));
    const pids = peer.pids();
    const before = await settledKib(pids, scale);
    const kernelBefore = slabKib();
    const held = await hold({ ...request, connections, messages: 1 });
    const after = await settledKib(pids, scale);
    const kernelAfter = slabKib();
    await release(held);
    return {
      userKib: (after - before) / connections,
      kernelKib: (kernelAfter - kernelBefore) / connections,
      baseMib: before / 1024,
    };
  },
};
