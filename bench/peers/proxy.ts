// This project's proxy, once for each engine; with two workers too where scaling is measured, and out of another checkout where
// two are compared.

import { join } from "node:path";

import type { EngineName } from "../../src/shared/plan.ts";
import { type Availability, type Peer, startRelay } from "./peer.ts";

/** A checkout of this project, with its packages installed. */
export interface Checkout {
  /** Before the engine's name. */
  prefix: string;
  root: string;
}

const HERE: Checkout = { prefix: "proxy", root: join(import.meta.dir, "../..") };

function command(
  root: string,
  engine: EngineName,
  workers: number,
  listenPort: number,
  targetPort: number,
): string[] {
  return [
    process.execPath,
    join(root, "src/cli.ts"),
    "-protocol=tcp",
    `-listen=127.0.0.1:${listenPort}`,
    `-target=127.0.0.1:${targetPort}`,
    `-engine=${engine}`,
    `-workers=${workers}`,
    "-log-format=json",
  ];
}

/** Nobody is forwarded to while the engine is tried: the discard service, which no machine has any more (RFC 863). */
const NO_TARGET = 9;

/** An engine is available if the proxy starts with it. */
async function available(
  { prefix, root }: Checkout,
  engine: EngineName,
  directory: string,
): Promise<Availability> {
  try {
    const running = await startRelay(`${prefix}-${engine}`, directory, (port) => ({
      command: command(root, engine, 1, port, NO_TARGET),
    }));
    await running.stop();
    return { version: (await Bun.file(join(root, "package.json")).json()).version };
  } catch (error) {
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return { missing: reason instanceof Error ? reason.message : String(reason) };
  }
}

/** @param directory takes the log of the trial start. */
export function proxyPeer(engine: EngineName, directory: string, checkout = HERE): Peer {
  return peer(`${checkout.prefix}-${engine}`, engine, 1, directory, checkout);
}

export function proxyOfTwo(engine: EngineName, directory: string): Peer {
  return { ...peer(`proxy-${engine}-2`, engine, 2, directory, HERE), only: /^scaling$/ };
}

function peer(
  name: string,
  engine: EngineName,
  workers: number,
  directory: string,
  checkout: Checkout,
): Peer {
  return {
    name,
    optional: engine === "uring", // containers often forbid it
    setup: `engine ${engine}, ${workers} ${workers === 1 ? "worker" : "workers"}`,
    available: () => available(checkout, engine, directory),
    async start(targetPort, runDirectory) {
      const running = await startRelay(name, runDirectory, (port) => ({
        command: command(checkout.root, engine, workers, port, targetPort),
      }));
      return { ...running, workers };
    },
  };
}
