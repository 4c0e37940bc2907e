// Runs the commands of a service's manager, and asks it for the state. Called by commands/service.ts.

import { ProxyError } from "../../shared/errors.ts";
import { type Command, formatCommand } from "../trust/stores.ts";
import {
  NOT_INSTALLED,
  type ServiceManager,
  type ServicePlace,
  type ServiceStatus,
} from "./service.ts";

/** @throws ProxyError ERR_SYSTEM if it fails; what it says is printed. */
export async function runShown(command: Command): Promise<void> {
  const child = start(command, "inherit");
  const code = await child.exited;
  if (code === 0) return;
  const problem = `${formatCommand(command)}: ended with exit code ${code}, for the reason printed above`;
  throw new ProxyError("ERR_SYSTEM", problem);
}

/** @throws ProxyError ERR_SYSTEM if the manager is not there, or does not run. */
export async function probe(manager: ServiceManager, place: ServicePlace): Promise<void> {
  const asked = manager.probe(place);
  if (asked === null) return;
  const { code, stderr } = await collect(asked);
  if (code === 0) return;
  const [reason = ""] = stderr.trim().split("\n");
  throw new ProxyError(
    "ERR_SYSTEM",
    `${manager.name} does not answer: ${reason.replace(/\.$/, "")}`,
    {
      cure: "Use -dry-run to see the files, or -root FOLDER to write them into an image of a system",
    },
  );
}

export async function askStatus(
  manager: ServiceManager,
  place: ServicePlace,
): Promise<ServiceStatus> {
  const { code, stdout } = await collect(manager.status(place));
  return code === 0 ? manager.readStatus(stdout) : NOT_INSTALLED;
}

async function collect(
  command: Command,
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const child = start(command, "pipe");
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, stdout, stderr };
}

function start<T extends "inherit" | "pipe">(
  { words: [name = "", ...args] }: Command,
  output: T,
): Bun.Subprocess<"ignore", T, T> {
  const path = Bun.which(name);
  if (path === null) {
    throw new ProxyError("ERR_SYSTEM", `the program ${name} is not installed`, {
      cure: "proxy service knows systemd, launchd and the Task Scheduler of Windows; see packaging for containers",
    });
  }
  return Bun.spawn([path, ...args], { stdin: "ignore", stdout: output, stderr: output });
}
