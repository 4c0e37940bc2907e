// haproxy in TCP mode with one thread: splicing where it finds that worth while; for bulk also told to splice always.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { type Peer, programVersion, startRelay } from "./peer.ts";

function configuration(listenPort: number, targetPort: number, splice: string): string {
  return `global
  nbthread 1
  maxconn 6000
defaults
  mode tcp
  ${splice}
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

function peer(name: string, setup: string, splice: string): Peer {
  return {
    name,
    setup,
    available: async () => programVersion(["haproxy", "-v"], /version (\d[\w.]*)/),
    async start(targetPort, directory) {
      const file = join(directory, `${name}-${targetPort}.cfg`);
      return startRelay(name, directory, (port) => {
        writeFileSync(file, configuration(port, targetPort, splice));
        return { command: ["haproxy", "-db", "-f", file] };
      });
    },
  };
}

export const haproxy = peer(
  "haproxy",
  "mode tcp, 1 thread, option splice-auto",
  "option splice-auto",
);
export const haproxyTuned: Peer = {
  ...peer(
    "haproxy-tuned",
    "the same with option splice-request and splice-response",
    "option splice-request\n  option splice-response",
  ),
  only: /^bulk-/,
};
