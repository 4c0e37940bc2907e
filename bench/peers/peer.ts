// What a contestant is: a relay, as a process of its own, from a port of 127.0.0.1 to another. Implemented by
// one file each beside this one; used by main.ts and the measurements.

import { join } from "node:path";

import type { Backend, Ports } from "../backends.ts";
import { endChild, freePort, type Server, startServer, untilAccepts } from "../children.ts";
import { descriptorLimit, processTree } from "../load/usage.ts";

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
  /**
   * Starts relaying to 127.0.0.1:`targetPort`. Files go to `directory`, which the caller removes.
   * @param backend what is there, for those that have to know what it speaks.
   */
  start(targetPort: number, directory: string, backend: Backend): Promise<RunningPeer>;
}

export interface RunningPeer extends Ports {
  /** Descriptors that it holds for one connection at rest. */
  descriptorsPerConnection: number;
  /** Threads or processes that relay. */
  workers: number;
  /** The relay's processes at this moment; none for the direct connection. */
  pids(): number[];
  stop(): Promise<void>;
}

export interface RelayCommand {
  command: string[];
  env?: Record<string, string>;
}

const CONNECTIONS_MAX = 8_192; // the idle measurement opens 8,000
const DESCRIPTORS_BESIDE = 1_000; // listeners, logs, pipes

/** What relays are set up for: what is asked of them, unless the machine allows less; they would not start then. */
export function connectionsMax(): number {
  return Math.min(CONNECTIONS_MAX, Math.floor((descriptorLimit() - DESCRIPTORS_BESIDE) / 2));
}

/** For relays that are compared in a few measurements only, so that a run does not take for ever. */
export const FEW = /^(bulk-[18]|pingpong-64|connect)$/;

export const START_MS = 15_000;

/** Starts a relay that listens on a port given to it, and waits until it does. */
export async function startRelay(
  name: string,
  directory: string,
  relay: (listenPort: number) => RelayCommand,
): Promise<RunningPeer> {
  const port = await freePort();
  const server = await startListening(name, directory, relay(port), port);
  return {
    port,
    descriptorsPerConnection: 2,
    workers: 1,
    pids: () => processTree(server.child.pid),
    stop: () => endChild(server.child),
  };
}

/**
 * Starts both ends of a tunnel on this machine: the server first, which listens on `controlPort`, then the client, and
 * with it the port that is forwarded. What both ends use counts.
 */
export async function startTunnel(
  name: string,
  directory: string,
  ends: (listenPort: number, controlPort: number) => { server: RelayCommand; client: RelayCommand },
): Promise<RunningPeer> {
  const [port, controlPort] = [await freePort(), await freePort()];
  const { server, client } = ends(port, controlPort);
  const outer = await startListening(`${name}-server`, directory, server, controlPort);
  try {
    const inner = await startListening(`${name}-client`, directory, client, port);
    const both = [outer, inner];
    return {
      port,
      descriptorsPerConnection: 2,
      workers: 1,
      pids: () => both.flatMap(({ child }) => processTree(child.pid)),
      stop: async () => void (await Promise.all(both.map(({ child }) => endChild(child)))),
    };
  } catch (error) {
    await endChild(outer.child);
    throw error;
  }
}

/** Starts a program and waits until `port` is open. */
export async function startListening(
  name: string,
  directory: string,
  { command, env }: RelayCommand,
  port: number,
): Promise<Server> {
  const server = startServer(command, join(directory, `${name}-${port}.log`), env);
  try {
    await untilAccepts(server, port, START_MS);
    return server;
  } catch (error) {
    await endChild(server.child);
    throw new Error(`${name} does not start`, { cause: error });
  }
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
