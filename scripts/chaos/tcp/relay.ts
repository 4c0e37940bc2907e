// The process under test: a proxy of two workers that lives all the time, and another that comes and goes. Run by chaos.ts as
// `bun relay.ts ENGINE FOLDER TARGETS`; it does what it is told over IPC and answers.

import { Worker } from "node:worker_threads";

import { Proxy } from "../../../src/control/proxy.ts";
import {
  formatSocketAddress,
  parseEndpoint,
  type SocketAddress,
} from "../../../src/shared/address.ts";
import type { Command, TargetSlot } from "../../../src/shared/messages.ts";
import { type EngineChoice, GROUP_DEFAULTS, type Plan } from "../../../src/shared/plan.ts";
import { makePlan } from "../../../test/support/plan.ts";
import type { Answer, Place, Question } from "./messages.ts";

const [engine, folder = "", targetList = ""] = process.argv.slice(2);
const targets = targetList.split(",");
const WORKERS = 2;
/** Ids that no connection has: a `disconnect` with one of them becomes another command on its way to the worker. */
const CRASH = -7;
const RETARGET = -8;
/** Slots of the plan's listeners. */
const LISTENERS = [0, 1];

let retargeted: readonly TargetSlot[] = [];
let asked = 0;
const errors: string[] = [];
const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (this: Worker, message: unknown): void {
  const command = message as Command;
  const id = command.type === "disconnect" ? command.id : 0;
  if (id === CRASH) return post.call(this, { type: "no such command" });
  if (id !== RETARGET) return post.call(this, message);
  for (const slot of LISTENERS) {
    post.call(this, { type: "targets", slot, targets: retargeted } satisfies Command);
  }
};

function plan(name: string, workers: number): Plan {
  const groups = [
    {
      balance: "round_robin" as const,
      targets: targets.map((target) => ({
        endpoint: parseEndpoint(target, "target"),
        weight: 1,
        backup: false,
      })),
      ...GROUP_DEFAULTS,
    },
  ];
  const [target = ""] = targets;
  return makePlan(
    { engine: engine as EngineChoice, workers, shutdownTimeoutMs: 1_000 },
    { groups, target, connectMs: 5_000 },
    { groups, target, connectMs: 5_000, listen: `unix:${folder}/${name}` },
  );
}

function start(name: string, workers: number): Promise<Proxy> {
  const error = (fields: { error?: string }, message: string): void => {
    if (fields.error?.includes("no such command") !== true)
      errors.push(`${message} ${fields.error}`);
  };
  const none = (): void => {};
  const log = { debug: none, info: none, warn: none, error };
  return Proxy.start(plan(name, workers), { log });
}

function places(proxy: Proxy): Place[] {
  return proxy.listeners().map(({ bound }) => {
    const [at] = bound;
    return at!.kind === "unix" ? { path: at!.path } : { host: "127.0.0.1", port: at!.port };
  });
}

let main: Proxy | undefined;
let guest: Proxy | undefined;

function slotOf(index: number): TargetSlot {
  const endpoint = parseEndpoint(targets[index]!, "target");
  const address: SocketAddress =
    endpoint.kind === "unix" ? endpoint : { kind: "ip", host: endpoint.host, port: endpoint.port };
  const name = formatSocketAddress(address);
  const share = { weight: 1, backup: false, up: true, mode: "enabled", addedMs: 0 } as const;
  return { slot: index, group: 0, index: 0, address, name, ...share };
}

async function obey(question: Question): Promise<Answer> {
  switch (question.do) {
    case "start":
      main = await start("main", WORKERS);
      return { places: places(main) };
    case "open":
      guest = await start("guest", 1);
      return { places: places(guest) };
    case "close": {
      const closing = guest;
      guest = undefined;
      if (question.drain) return (await closing?.stop()) ?? { reset: 0 };
      await closing?.kill();
      return { reset: 0 };
    }
    case "crash":
      asked++;
      main?.disconnect(question.worker, CRASH);
      return { reset: 0 };
    case "targets":
      retargeted = question.targets.map(slotOf);
      for (let worker = 0; worker < WORKERS; worker++) main?.disconnect(worker, RETARGET);
      return { reset: 0 };
    case "disconnect": {
      const live = main?.connections().filter(({ client }) => client.startsWith("127")) ?? [];
      const victim = live[Math.trunc(Math.random() * live.length)];
      if (victim === undefined) return { port: 0 };
      main!.disconnect(victim.worker, victim.id);
      return { port: Number(victim.client.split(":")[1]) };
    }
    case "stop":
      await guest?.kill();
      return (await main?.stop()) ?? { reset: 0 };
    default:
      return state(question.collect);
  }
}

function state(collect: boolean): Answer {
  if (collect) Bun.gc(true);
  const stats = main?.stats();
  const listeners = Object.values(stats?.listeners ?? {});
  const restarts = stats?.workerRestarts ?? 0;
  const open = main?.listeners().every(({ workers }) => workers.length === WORKERS) ?? true;
  return {
    rows: (main?.connections().length ?? 0) + (guest?.connections().length ?? 0),
    restarts,
    complete: open && restarts === asked,
    accepted: listeners.reduce((sum, { total }) => sum + total, 0),
    errors,
  };
}

let turn: Promise<void> = Promise.resolve();
process.on("message", (question: Question) => {
  turn = turn.then(async () => void process.send!(await obey(question)));
});
process.on("disconnect", () => process.exit(0));
