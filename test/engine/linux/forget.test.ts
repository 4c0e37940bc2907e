// Listeners that were closed and are forgotten: their places are used again, whatever order they go in. The engines are in the
// test's own thread, and do not run.

import { describe, expect, test } from "bun:test";
import { closeSync } from "node:fs";

import type { EngineHost } from "../../../src/engine/engine.ts";
import { EpollEngine } from "../../../src/engine/epoll/engine.ts";
import type { LinuxEngine } from "../../../src/engine/linux/engine.ts";
import { UringEngine } from "../../../src/engine/uring/engine.ts";
import { createCounters } from "../../../src/shared/counters.ts";
import { RING_DEFAULTS } from "../../../src/shared/limits.ts";
import { LoadBoard } from "../../../src/shared/load.ts";
import type { RelayRequest, WorkerEvent } from "../../../src/shared/messages.ts";
import { StrainBoard } from "../../../src/shared/strain.ts";
import { type ListenerOptions, listenerPlan } from "../../support/plan.ts";

const events: WorkerEvent[] = [];
const host: EngineHost = {
  emit: (event) => void events.push(event),
  index: 0,
  load: new LoadBoard(LoadBoard.create(1)),
  strain: new StrainBoard(StrainBoard.create(2)),
  traceConnections: false,
  ring: RING_DEFAULTS,
  readMailbox: () => {},
};

function request(slot: number, options: Partial<ListenerOptions> = {}): RelayRequest {
  return {
    listener: listenerPlan({ target: "127.0.0.1:1", ...options }),
    slot,
    binds: [{ kind: "ip", host: "127.0.0.1", port: 0 }],
    targets: [],
    targetSlots: 1,
    counters: createCounters(1),
    active: new SharedArrayBuffer(4),
    clients: null,
    accepts: null,
    bandwidth: null,
    certificates: null,
    mirror: [],
    reusePort: false,
    exclusive: false,
    beside: false,
    endpoint: false,
    sharedFds: [],
    inherited: [],
    keep: false,
    quiet: true,
    replaces: [],
  };
}

/** How many places it has, used or free. */
function placesOf(engine: LinuxEngine): number {
  return (engine as unknown as { connections: { profiles: unknown[] } }).connections.profiles
    .length;
}

const engines = { epoll: EpollEngine, uring: UringEngine } as const;

describe.skipIf(process.platform !== "linux").each(["epoll", "uring"] as const)("%s", (name) => {
  test("has as many places as listeners at once, of any size of buffers", () => {
    const engine = engines[name].create(host);
    for (let slot = 0; slot < 3; slot++) engine.open(request(slot));
    for (let slot = 3; slot < 100; slot++) {
      const highWatermarkBytes = 65_536 * (1 + (slot % 5));
      const options = { connectionBytesPerSecond: 1_000, buffers: { highWatermarkBytes } };
      engine.open(request(slot, options));
      engine.close(slot - 3);
      engine.forget(slot - 3);
      engine.forget(slot - 3);
    }
    expect(placesOf(engine)).toBe(4);
    const duplicates = engine.listening();
    expect(duplicates.length).toBe(3);
    for (const { fd } of duplicates) closeSync(fd);
    engine.end();
  });

  test("gives back the place of one that could not be opened", () => {
    const engine = engines[name].create(host);
    const bind = { kind: "ip", host: "192.0.2.1", port: 1 } as const; // nobody's (RFC 5737)
    for (let slot = 0; slot < 10; slot++) {
      expect(() => engine.open({ ...request(slot), binds: [bind] })).toThrow(/192\.0\.2\.1/);
    }
    expect(placesOf(engine)).toBe(1);
    engine.end();
  });
});
