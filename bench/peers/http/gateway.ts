// Starting a contestant that forwards requests: it listens in clear, for HTTP/2 by prior knowledge, and over TLS. Called by the
// files beside this one.

import { type Ports } from "../../backends.ts";
import { endChild, freePort, untilAccepts } from "../../children.ts";
import { processTree } from "../../load/usage.ts";
import { type RelayCommand, type RunningPeer, START_MS, startListening } from "../peer.ts";

/** The measurements in bench/http. */
export const HTTP_ONLY = /^(http[12]|h2c|tls|websocket|grpc)/;

/** Where a gateway listens. */
export type GatewayPorts = Required<Pick<Ports, "port" | "h2cPort" | "tlsPort">>;

/** @param clearIsH2c the port in clear takes HTTP/2 by prior knowledge too. */
export async function startGateway(
  name: string,
  directory: string,
  clearIsH2c: boolean,
  relay: (ports: GatewayPorts) => RelayCommand,
): Promise<RunningPeer> {
  const [port, tlsPort] = [await freePort(), await freePort()];
  const ports = { port, h2cPort: clearIsH2c ? port : await freePort(), tlsPort };
  const server = await startListening(name, directory, relay(ports), port);
  try {
    for (const other of [ports.h2cPort, tlsPort]) await untilAccepts(server, other, START_MS);
  } catch (error) {
    await endChild(server.child);
    throw new Error(`${name} does not start`, { cause: error });
  }
  return {
    ...ports,
    descriptorsPerConnection: 2,
    workers: 1,
    pids: () => processTree(server.child.pid),
    stop: () => endChild(server.child),
  };
}
