// haproxy in TCP mode with one thread: splicing where it finds that worth while; for bulk also told to splice always,
// and with two threads where scaling is measured.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { connectionsMax, type Peer, programVersion, startRelay } from "./peer.ts";

/** Pipes, of two descriptors each, for splicing: without a word it plans for so many that a common limit is too low. */
const PIPES_MAX = 256;

interface Variant {
  name: string;
  setup: string;
  threads?: number;
  splice?: string;
}

function configuration(
  { threads, splice }: Variant,
  listenPort: number,
  targetPort: number,
): string {
  return `global
  nbthread ${threads ?? 1}
  maxconn ${connectionsMax()}
  maxpipes ${PIPES_MAX}
defaults
  mode tcp
  ${splice ?? "option splice-auto"}
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

function peer(variant: Variant): Peer {
  const { name, setup } = variant;
  return {
    name,
    setup,
    available: async () => programVersion(["haproxy", "-v"], /version (\d[\w.]*)/),
    async start(targetPort, directory) {
      const file = join(directory, `${name}-${targetPort}.cfg`);
      const running = await startRelay(name, directory, (port) => {
        writeFileSync(file, configuration(variant, port, targetPort));
        return { command: ["haproxy", "-db", "-f", file] };
      });
      return { ...running, workers: variant.threads ?? 1 };
    },
  };
}

export const haproxy = peer({
  name: "haproxy",
  setup: "mode tcp, 1 thread, option splice-auto",
});
export const haproxyTuned: Peer = {
  ...peer({
    name: "haproxy-tuned",
    setup: "the same with option splice-request and splice-response",
    splice: "option splice-request\n  option splice-response",
  }),
  only: /^bulk-/,
};
export const haproxyOfTwo: Peer = {
  ...peer({
    name: "haproxy-2",
    setup: "mode tcp, 2 threads, option splice-auto",
    threads: 2,
  }),
  only: /^scaling$/,
};
