// `proxy upgrade`: asks a running proxy to start its successor, and waits until that serves or has failed. What it goes by is
// what Linux tells of processes: a successor says whom it is to replace, and a process that was replaced calls itself so.

import { setTimeout as sleep } from "node:timers/promises";

import { defineCommand } from "citty";

import { readPidFile } from "../control/pid-file.ts";
import {
  hearsSigusr2,
  looksLikeProxy,
  REPLACED_NAME,
  stateOf,
  successorsOf,
} from "../control/processes.ts";
import { messageOf, ProxyError } from "../shared/errors.ts";
import { CONTROL } from "../shared/limits.ts";
import { print } from "./terminal.ts";

/** A process is there for 100 ms at least: it cannot come and go unseen. */
const POLL_MS = 20;
/** A proxy that was asked starts its successor within milliseconds; one that is stopped never does. */
const BEGIN_MS = 5_000;
/** The proxy itself gives up before. */
const END_MS = CONTROL.upgradeTimeoutMs + 5_000;

export const upgrade = defineCommand({
  meta: {
    name: "upgrade",
    description: "have a running proxy replaced by a new process, without losing a connection",
  },
  args: {
    pid: { type: "string", valueHint: "1234", description: "the proxy's process id" },
    "pid-file": {
      type: "string",
      valueHint: "/run/proxy.pid",
      description: "the file that it writes its process id to",
    },
  },
  run: async ({ args }): Promise<number> => {
    const pid = processOf(args.pid, args["pid-file"]);
    const before = new Set(successorsOf(pid));
    check(pid, before);
    signal(pid);
    const successor = await outcome(pid, before);
    await print(`process ${successor} has taken over from process ${pid}`);
    return 0;
  },
});

/** @throws ProxyError ERR_USAGE */
function processOf(pid: string | undefined, file: string | undefined): number {
  if (process.platform !== "linux") {
    throw new ProxyError("ERR_UPGRADE", `upgrades need Linux, this is ${process.platform}`);
  }
  if ((pid === undefined) === (file === undefined)) {
    throw new ProxyError("ERR_USAGE", "which proxy? Write -pid 1234 or -pid-file /run/proxy.pid");
  }
  if (file !== undefined) return readPidFile(file);
  if (/^[1-9]\d*$/.test(pid!)) return Number(pid);
  throw new ProxyError("ERR_USAGE", `-pid: "${pid}" is not a process id`);
}

/** @throws ProxyError ERR_UPGRADE if it cannot be upgraded, or SIGUSR2 would end it. */
function check(pid: number, successors: ReadonlySet<number>): void {
  const state = stateOf(pid);
  if (state === undefined) throw new ProxyError("ERR_UPGRADE", `there is no process ${pid}`);
  if (state.name === REPLACED_NAME) {
    const heir = successors.size === 0 ? "" : ` by process ${[...successors].join(", ")}`;
    throw new ProxyError("ERR_UPGRADE", `process ${pid} was replaced${heir}, and drains`);
  }
  if (!hearsSigusr2(pid) || !looksLikeProxy(pid)) {
    throw new ProxyError("ERR_UPGRADE", `process ${pid} is not a proxy that can be upgraded`);
  }
}

function signal(pid: number): void {
  try {
    process.kill(pid, "SIGUSR2");
  } catch (cause) {
    const problem = `process ${pid} cannot be asked: ${messageOf(cause)}`;
    throw new ProxyError("ERR_UPGRADE", problem, { cause, cure: "Ask as its user or as root" });
  }
}

/** @returns the successor. @throws ProxyError ERR_UPGRADE */
async function outcome(pid: number, before: ReadonlySet<number>): Promise<number> {
  const said = `the log of process ${pid} says why`;
  const startMs = performance.now();
  for (let begun = false; ; await sleep(POLL_MS)) {
    // In this order: one that is gone when it is looked at had been replaced or not by the time its successor was seen.
    const elapsedMs = performance.now() - startMs;
    const successor = successorsOf(pid).findLast((each) => !before.has(each));
    const state = stateOf(pid);
    const replaced = state === undefined || state.name === REPLACED_NAME;
    if (replaced && successor !== undefined) return successor;
    if (state === undefined) throw new ProxyError("ERR_UPGRADE", `process ${pid} ended`);
    if (begun && successor === undefined) {
      throw new ProxyError("ERR_UPGRADE", `the new process does not serve: ${said}`);
    }
    begun ||= successor !== undefined;
    if (!begun && elapsedMs > BEGIN_MS) {
      throw new ProxyError("ERR_UPGRADE", `process ${pid} started no other: ${said}`);
    }
    if (elapsedMs > END_MS) {
      throw new ProxyError("ERR_UPGRADE", `the new process does not serve yet: ${said}`);
    }
  }
}
