// This project's proxy with one worker, once for each engine.

import type { EngineName } from "../../src/shared/plan.ts";
import { type Availability, type Peer, startRelay } from "./peer.ts";

const cli = Bun.fileURLToPath(new URL("../../src/cli.ts", import.meta.url));

function command(engine: EngineName, listenPort: number, targetPort: number): string[] {
  return [
    process.execPath,
    cli,
    "-protocol=tcp",
    `-listen=127.0.0.1:${listenPort}`,
    `-target=127.0.0.1:${targetPort}`,
    `-engine=${engine}`,
    "-workers=1",
    "-log-format=json",
  ];
}

/** Nobody is forwarded to while the engine is tried: the discard service, which no machine has any more (RFC 863). */
const NO_TARGET = 9;

/** An engine is available if the proxy starts with it. */
async function available(engine: EngineName, directory: string): Promise<Availability> {
  try {
    const running = await startRelay(`proxy-${engine}`, directory, (port) => ({
      command: command(engine, port, NO_TARGET),
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
  return {
    name: `proxy-${engine}`,
    optional: engine === "uring", // containers often forbid it
    setup: `engine ${engine}, 1 worker`,
    available: () => available(engine, directory),
    start: (targetPort, runDirectory) =>
      startRelay(`proxy-${engine}`, runDirectory, (port) => ({
        command: command(engine, port, targetPort),
      })),
  };
}
