// A relay worker's entry point: composes an engine with the mailbox that the control plane writes to. The engine owns the
// thread: it blocks in `run` (and is woken to read the mailbox), or it returns and lives on the event loop.

import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";

import type { Engine, EngineHost } from "./engine/engine.ts";
import { pickEngine } from "./engine/pick.ts";
import { toErrorRecord } from "./shared/errors.ts";
import { LoadBoard } from "./shared/load.ts";
import type { Command, Question, RelayInit, RelayRequest, WorkerEvent } from "./shared/messages.ts";
import type { RelayPlan } from "./shared/plan.ts";
import { StrainBoard } from "./shared/strain.ts";

if (parentPort === null) throw new Error("worker.ts runs in a worker thread only");
const port = parentPort;
const init = workerData as RelayInit;

const emit = (event: WorkerEvent): void => port.postMessage(event);

let { traceConnections } = init;

const host: EngineHost = {
  emit,
  get traceConnections() {
    return traceConnections;
  },
  ring: init.ring,
  index: init.index,
  load: new LoadBoard(init.load),
  strain: new StrainBoard(init.strain),
  readMailbox(): void {
    // What came behind the order to end is for nobody.
    for (let entry = next(); entry && !ended; entry = next()) {
      obey(entry.message as Command<RelayPlan>);
    }
  },
};

const next = (): { message: unknown } | undefined => receiveMessageOnPort(port);

let engine: Engine;
let ended = false;

function open(request: RelayRequest): void {
  const { slot } = request;
  try {
    const { bound, fds } = engine.open(request);
    emit({ type: "opened", slot, bound, fds });
  } catch (error) {
    emit({ type: "open_failed", slot, error: toErrorRecord(error) });
  }
}

function adopt(command: Command & { type: "adopt" }): void {
  try {
    const connection = engine.adopt(command.id, command.request);
    emit({ type: "adopted", id: command.id, connection, error: null });
  } catch (error) {
    emit({ type: "adopted", id: command.id, connection: -1, error: toErrorRecord(error) });
  }
}

function answer(id: number, question: Question): void {
  if (question === "accept") engine.accept();
  emit({ type: "answer", id, sockets: question === "sockets" ? engine.listening() : [] });
}

function end(): void {
  ended = true;
  const connections = engine.end();
  emit({ type: "ended", connections });
  port.close();
}

const givenUp = new Int32Array(init.givenUp);

function obey(command: Command<RelayPlan>): void {
  if (Atomics.load(givenUp, 0) === 1 && command.type !== "end") return;
  switch (command.type) {
    case "open":
      return open(command.request);
    case "targets":
      return engine.setTargets(command.slot, command.targets);
    case "mirror":
      return engine.setMirror(command.slot, command.addresses);
    case "close":
      return engine.close(command.slot);
    case "forget":
      return engine.forget(command.slot);
    case "adopt":
      return adopt(command);
    case "take":
      engine.take(command.slot, command.fd);
      return emit({ type: "took", id: command.id });
    case "ask":
      return answer(command.id, command.question);
    case "disconnect":
      return engine.disconnect(command.id);
    case "trace":
      traceConnections = command.on;
      return;
    case "collect":
      Bun.gc(false);
      return;
    case "drain":
      return engine.drain();
    case "end":
      return end();
    case "certificates":
    default:
      // The planes are one program: an unknown command is a bug, and the worker is restarted for it.
      throw new Error(`unknown command ${command.type}`);
  }
}

function main(): void {
  try {
    const picked = pickEngine(init.engine, host);
    engine = picked.engine;
    const { name, wakeFd, live } = engine;
    emit({ type: "ready", engine: name, reason: picked.reason, wakeFd, live: live.buffer });
  } catch (error) {
    emit({ type: "start_failed", error: toErrorRecord(error) });
    return;
  }
  if (engine.wakeFd < 0) {
    port.on("message", obey);
    process.on("exit", () => void (ended || engine.end())); // after a crash, as below
  }
  try {
    engine.run();
  } catch (error) {
    engine.end(); // descriptors outlive a thread: close them before the crash is reported
    throw error;
  }
}

main();
