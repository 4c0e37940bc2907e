// What is asked of an engine while it ends, be it after a crash: nothing is obeyed any more. A client that was handed over
// then would be nobody's, and hold the end up. The engines are in the test's own thread.

import { describe, expect, test } from "bun:test";
import { writeSync } from "node:fs";

import type { Engine, EngineHost } from "../../../src/engine/engine.ts";
import { EpollEngine } from "../../../src/engine/epoll/engine.ts";
import { UringEngine } from "../../../src/engine/uring/engine.ts";
import { createCounters } from "../../../src/shared/counters.ts";
import { RING_DEFAULTS } from "../../../src/shared/limits.ts";
import { LoadBoard } from "../../../src/shared/load.ts";
import type { RelayRequest } from "../../../src/shared/messages.ts";
import { StrainBoard } from "../../../src/shared/strain.ts";
import { ENGINES } from "../../support/engines.ts";
import { listenerPlan } from "../../support/plan.ts";

const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);

const REQUEST: RelayRequest = {
  listener: listenerPlan({ target: "127.0.0.1:1" }),
  slot: 0,
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
  quiet: false,
  replaces: [],
};

const engines = { epoll: EpollEngine, uring: UringEngine } as const;
const names = (["epoll", "uring"] as const).filter((name) => ENGINES.includes(name));

describe.each(names)("%s", (name) => {
  test("reads its mailbox no more once it ends, though it is woken", () => {
    let reads = 0;
    const host: EngineHost = {
      emit: () => {},
      index: 0,
      load: new LoadBoard(LoadBoard.create(1)),
      strain: new StrainBoard(StrainBoard.create(2)),
      traceConnections: false,
      ring: RING_DEFAULTS,
      readMailbox: () => {
        reads++;
        writeSync(engine.wakeFd, ONE); // another command
        if (reads === 1) engine.end();
      },
    };
    const engine: Engine = engines[name].create(host);
    engine.open(REQUEST);
    writeSync(engine.wakeFd, ONE);
    engine.run();
    expect(reads).toBe(1);
  });
});
