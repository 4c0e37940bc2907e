// This project's proxy, once for each engine; with two workers too where scaling is measured.

import type { EngineName } from "../../src/shared/plan.ts";
import { type Availability, type Peer, startRelay } from "./peer.ts";

const cli = Bun.fileURLToPath(new URL("../../src/cli.ts", import.meta.url));

function command(
  engine: EngineName,
  workers: number,
  listenPort: number,
  targetPort: number,
): string[] {
  return [
    process.execPath,
    cli,
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
async function available(engine: EngineName, directory: string): Promise<Availability> {
  try {
    const running = await startRelay(`proxy-${engine}`, directory, (port) => ({
      command: command(engine, 1, port, NO_TARGET),
    }));
    await running.stop();
    return {
      version: (await Bun.file(new URL("../../package.json", import.meta.url)).json()).version,
    };
  } catch (error) {
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return { missing: reason instanceof Error ? reason.message : String(reason) };
  }
}

/** @param directory takes the log of the trial start. */
export function proxyPeer(engine: EngineName, directory: string): Peer {
  return peer(`proxy-${engine}`, engine, 1, directory);
}

export function proxyOfTwo(engine: EngineName, directory: string): Peer {
  return { ...peer(`proxy-${engine}-2`, engine, 2, directory), only: /^scaling$/ };
}

function peer(name: string, engine: EngineName, workers: number, directory: string): Peer {
  return {
    name,
    optional: engine === "uring", // containers often forbid it
    setup: `engine ${engine}, ${workers} ${workers === 1 ? "worker" : "workers"}`,
    available: () => available(engine, directory),
    async start(targetPort, runDirectory) {
      const running = await startRelay(name, runDirectory, (port) => ({
        command: command(engine, workers, port, targetPort),
      }));
      return { ...running, workers };
    },
  };
}
