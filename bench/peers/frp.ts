// frp is a tunnel: frps listens, and frpc, behind the firewall that is not there, forwards. Both run here, on one
// processor each, as they are set up without a word, but without TLS between them: no other contestant encrypts.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { FEW, type Peer, programVersion, startTunnel } from "./peer.ts";

function server(controlPort: number): string {
  return `bindAddr = "127.0.0.1"
bindPort = ${controlPort}
log.level = "error"
`;
}

function client(listenPort: number, targetPort: number, controlPort: number): string {
  return `serverAddr = "127.0.0.1"
serverPort = ${controlPort}
transport.tls.enable = false
log.level = "error"
[[proxies]]
name = "bench"
type = "tcp"
localIP = "127.0.0.1"
localPort = ${targetPort}
remotePort = ${listenPort}
`;
}

export const frp: Peer = {
  name: "frp",
  optional: true,
  setup: "a tunnel over one connection without TLS, frps and frpc counted, GOMAXPROCS=1 each",
  only: FEW,
  available: async () => programVersion(["frps", "--version"], /^(\d[\w.]*)/m),
  start: (targetPort, directory) =>
    startTunnel("frp", directory, (port, controlPort) => {
      const file = (end: string): string => join(directory, `frp-${end}-${port}.toml`);
      writeFileSync(file("server"), server(controlPort));
      writeFileSync(file("client"), client(port, targetPort, controlPort));
      const env = { GOMAXPROCS: "1" };
      return {
        server: { command: ["frps", "--config", file("server")], env },
        client: { command: ["frpc", "--config", file("client")], env },
      };
    }),
};
