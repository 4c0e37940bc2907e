// A worker thread with the io_uring engine over a ring of a test's choice: small queues, and faults between engine and kernel.
// Started by uring-relay.ts, which says what it is given; otherwise as src/worker.ts.

import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";

import type { EngineHost } from "../../src/engine/engine.ts";
import { openParts, UringEngine } from "../../src/engine/uring/engine.ts";
import { LoadBoard } from "../../src/shared/load.ts";
import type { Command, WorkerEvent } from "../../src/shared/messages.ts";
import type { RelayPlan } from "../../src/shared/plan.ts";
import { StrainBoard } from "../../src/shared/strain.ts";
import { FaultKernel } from "./fault-kernel.ts";
import { GAUGE_FULL, GAUGE_TAKEN, type UringInit } from "./uring-relay.ts";

const port = parentPort!;
const init = workerData as UringInit;
const gauges = new Int32Array(init.gauges);
const emit = (event: WorkerEvent): void => port.postMessage(event);

const host: EngineHost = {
  emit,
  index: 0,
  load: new LoadBoard(LoadBoard.create(1)),
  strain: new StrainBoard(StrainBoard.create(2)),
  traceConnections: false,
  ring: init.ring,
  readMailbox(): void {
    for (let entry = receiveMessageOnPort(port); entry; entry = receiveMessageOnPort(port)) {
      obey(entry.message as Command<RelayPlan>);
    }
  },
};

const { kernel, buffers } = openParts(init.ring, init.sqEntries, init.cqEntries);
const { take, recycle } = buffers;
buffers.take = () => {
  Atomics.add(gauges, GAUGE_TAKEN, 1);
  take.call(buffers);
};
buffers.recycle = (buffer) => {
  Atomics.sub(gauges, GAUGE_TAKEN, 1);
  recycle.call(buffers, buffer);
};
const { enter, layout } = kernel;
kernel.enter = (...args) => {
  const taken = enter.apply(kernel, args);
  const ready = (layout.words[layout.cqTail]! - layout.words[layout.cqHead]!) >>> 0;
  if (ready === layout.cqEntries) Atomics.add(gauges, GAUGE_FULL, 1);
  return taken;
};
const faulty = init.faults === null ? kernel : new FaultKernel(kernel, init.faults);
const engine = new UringEngine(host, { kernel: faulty, buffers });

function obey(command: Command<RelayPlan>): void {
  if (command.type === "open") {
    const { slot } = command.request;
    emit({ type: "opened", slot, ...engine.open(command.request) });
  } else if (command.type === "close") engine.close(command.slot);
  else if (command.type === "drain") engine.drain();
  else if (command.type === "end") {
    emit({ type: "ended", connections: engine.end() });
    port.close();
  } else throw new Error(`not for this worker: ${command.type}`);
}

const { wakeFd, live } = engine;
emit({ type: "ready", engine: "uring", reason: "", wakeFd, live: live.buffer });
engine.run();
