// rathole is a tunnel: its server listens, and its client, behind the firewall that is not there, forwards. Both run
// here, each with one thread for its work.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { FEW, type Peer, programVersion, startTunnel } from "./peer.ts";

const SERVICE = "bench";
const TOKEN = "bench";

function server(listenPort: number, controlPort: number): string {
  return `[server]
bind_addr = "127.0.0.1:${controlPort}"
[server.services.${SERVICE}]
token = "${TOKEN}"
bind_addr = "127.0.0.1:${listenPort}"
`;
}

function client(targetPort: number, controlPort: number): string {
  return `[client]
remote_addr = "127.0.0.1:${controlPort}"
[client.services.${SERVICE}]
token = "${TOKEN}"
local_addr = "127.0.0.1:${targetPort}"
`;
}

export const rathole: Peer = {
  name: "rathole",
  optional: true,
  setup: "a tunnel over TCP, server and client counted, 1 thread each",
  only: FEW,
  available: async () => programVersion(["rathole", "--version"], /Build Version:\s+(\S+)/),
  start: (targetPort, directory) =>
    startTunnel("rathole", directory, (port, controlPort) => {
      const file = (end: string): string => join(directory, `rathole-${end}-${port}.toml`);
      writeFileSync(file("server"), server(port, controlPort));
      writeFileSync(file("client"), client(targetPort, controlPort));
      const env = { TOKIO_WORKER_THREADS: "1", RUST_LOG: "error" };
      return {
        server: { command: ["rathole", "--server", file("server")], env },
        client: { command: ["rathole", "--client", file("client")], env },
      };
    }),
};
