// Starts what listens over UDP for QUIC: nothing can be connected to see whether it does, so a client of quic-go shakes hands
// with it until that works. Called by the contestants beside this file.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { endChild, freePort, type Server, startServer, tryChild } from "../../children.ts";
import { processTree } from "../../load/usage.ts";
import { type RelayCommand, type RunningPeer, START_MS } from "../peer.ts";

export const QUIC_LOAD = "quic-load";
const PROBE_MS = 1_000;
const ASK_AGAIN_MS = 50;

/**
 * @param relay gets the ports for HTTP/3 and for raw QUIC. @param alpn what one of them, `probed`, agrees to.
 * @param says what it logs when it listens, where a probe would be too much for it.
 */
export async function startQuic(
  name: string,
  directory: string,
  alpn: string,
  probed: "h3Port" | "quicPort",
  relay: (ports: { h3Port: number; quicPort: number }) => RelayCommand,
  says?: string,
): Promise<RunningPeer> {
  const ports = { h3Port: await freePort(), quicPort: await freePort() };
  const { command, env } = relay(ports);
  const server = startServer(command, join(directory, `${name}-${ports[probed]}.log`), env);
  const probe = [QUIC_LOAD, "handshakes", `127.0.0.1:${ports[probed]}`, alpn, "0", "1", "1"];
  const deadline = performance.now() + START_MS;
  for (;;) {
    if (says === undefined ? await answers(probe) : logged(server, says)) break;
    if (performance.now() < deadline && server.child.exitCode === null) {
      await Bun.sleep(ASK_AGAIN_MS);
      continue;
    }
    await endChild(server.child);
    throw new Error(`${name} does not start: see ${server.logPath}`);
  }
  return {
    port: ports[probed],
    ...ports,
    descriptorsPerConnection: 1,
    workers: 1,
    pids: () => processTree(server.child.pid),
    stop: () => endChild(server.child),
  };
}

/** Nobody tells a client of UDP that nobody listens: it is ended. */
async function answers(probe: string[]): Promise<boolean> {
  const { code } = await tryChild(probe, PROBE_MS).catch(() => ({ code: -1 }));
  return code === 0;
}

function logged({ logPath }: Server, text: string): boolean {
  return existsSync(logPath) && readFileSync(logPath, "utf8").includes(text);
}
