// What a contestant is: a relay, as a process of its own, from a port of 127.0.0.1 to another. Implemented by
// one file each beside this one; used by main.ts and the measurements.

import { join } from "node:path";

import { endChild, freePort, startServer, untilAccepts } from "../children.ts";
import { processTree } from "../load/usage.ts";

export type Availability = { version: string } | { missing: string };

export interface Peer {
  name: string;
  /** One line on how it is set up, for the report. */
  setup: string;
  /** Measurements in which it takes part, by name; without it, all. */
  only?: RegExp;
  /** May be missing in CI; every other contestant must be there. */
  optional?: boolean;
  available(): Promise<Availability>;
  /** Starts relaying to 127.0.0.1:`targetPort`. Files go to `directory`, which the caller removes. */
  start(targetPort: number, directory: string): Promise<RunningPeer>;
}

export interface RunningPeer {
  port: number;
  /** Descriptors that it holds for one connection at rest. */
  descriptorsPerConnection: number;
  /** The relay's processes at this moment; none for the direct connection. */
  pids(): number[];
  stop(): Promise<void>;
}

export interface RelayCommand {
  command: string[];
  env?: Record<string, string>;
}

const START_MS = 15_000;

/** Starts a relay that listens on a port given to it, and waits until it does. */
export async function startRelay(
  name: string,
  directory: string,
  relay: (listenPort: number) => RelayCommand,
): Promise<RunningPeer> {
  const port = await freePort();
  const { command, env } = relay(port);
  const server = startServer(command, join(directory, `${name}.log`), env);
  try {
    await untilAccepts(server, port, START_MS);
  } catch (error) {
    await endChild(server.child);
    throw new Error(`${name} does not start`, { cause: error });
  }
  return {
    port,
    descriptorsPerConnection: 2,
    pids: () => processTree(server.child.pid),
    stop: () => endChild(server.child),
  };
}

/** The first match of `pattern` in what a program prints about its version, on either stream. */
export function programVersion(command: string[], pattern: RegExp): Availability {
  const program = command[0]!;
  if (Bun.which(program, { PATH: process.env.PATH ?? "" }) === null)
    return { missing: `${program} is not installed` };
  const { stdout, stderr } = Bun.spawnSync(command, { env: process.env });
  const said = `${stdout.toString()}${stderr.toString()}`;
  const version = pattern.exec(said)?.[1];
  return version === undefined
    ? { missing: `${command.join(" ")} says nothing of its version: ${said.trim()}` }
    : { version };
}
