// haproxy in TCP mode with one thread, splicing where it finds that worth while, otherwise as installed.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { type Peer, programVersion, startRelay } from "./peer.ts";

function configuration(listenPort: number, targetPort: number): string {
  return `global
  nbthread 1
  maxconn 6000
defaults
  mode tcp
  option splice-auto
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend front
  bind 127.0.0.1:${listenPort}
  default_backend back
backend back
  server target 127.0.0.1:${targetPort}
`;
}

export const haproxy: Peer = {
  name: "haproxy",
  setup: "mode tcp, 1 thread, option splice-auto",
  available: async () => programVersion(["haproxy", "-v"], /version (\d[\w.]*)/),
  async start(targetPort, directory) {
    const file = join(directory, `haproxy-${targetPort}.cfg`);
    return startRelay("haproxy", directory, (port) => {
      writeFileSync(file, configuration(port, targetPort));
      return { command: ["haproxy", "-db", "-f", file] };
    });
  },
};
