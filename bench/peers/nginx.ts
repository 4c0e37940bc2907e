// nginx's stream module with one worker: as installed, for bulk also with the larger buffers that help it there, and
// with two workers where scaling is measured.

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { UDP_ONLY } from "../udp/contestants.ts";
import {
  type Availability,
  connectionsMax,
  type Peer,
  programVersion,
  startRelay,
} from "./peer.ts";
import { startDatagramRelay } from "./udp/start.ts";

const BESIDE = 256;

/** `load_module` for builds that have the stream module as a file of its own, as Debian's. Empty if it is built in. */
function loadModule(): string | null {
  const { stderr } = Bun.spawnSync(["nginx", "-V"], { env: process.env });
  const built = stderr.toString();
  if (/--with-stream(\s|$)/.test(built)) return "";
  const path = /--modules-path=(\S+)/.exec(built)?.[1] ?? "/usr/lib/nginx/modules";
  const file = join(path, "ngx_stream_module.so");
  return existsSync(file) ? `load_module ${file};` : null;
}

interface Variant {
  name: string;
  setup: string;
  workers?: number;
  /** After the address in `listen`. */
  listen?: string;
  /** Lines for the server. */
  server?: string;
  /** Of datagrams. */
  isUdp?: boolean;
}

function configuration(
  variant: Variant,
  listenPort: number,
  targetPort: number,
  directory: string,
): string {
  const connections = 2 * connectionsMax() + BESIDE; // two for each relayed connection
  return `${loadModule()}
daemon off;
worker_processes ${variant.workers ?? 1};
worker_rlimit_nofile ${connections + BESIDE};
pid ${join(directory, `nginx-${listenPort}.pid`)};
error_log stderr warn;
events { worker_connections ${connections}; }
stream {
  server {
    listen 127.0.0.1:${listenPort} ${variant.isUdp ? "udp" : ""} ${variant.listen ?? ""};
    proxy_pass 127.0.0.1:${targetPort};
    proxy_timeout 1h;
    ${variant.server ?? ""}
  }
}
`;
}

async function available(): Promise<Availability> {
  const version = programVersion(["nginx", "-v"], /nginx\/(\S+)/);
  if ("version" in version && loadModule() === null) {
    return { missing: "nginx has no stream module (Debian: libnginx-mod-stream)" };
  }
  return version;
}

function peer(variant: Variant): Peer {
  const { name, setup } = variant;
  return {
    name,
    setup,
    available,
    async start(targetPort, directory) {
      const file = join(directory, `${name}-${targetPort}.conf`);
      const start = variant.isUdp ? startDatagramRelay : startRelay;
      const running = await start(name, directory, (port) => {
        writeFileSync(file, configuration(variant, port, targetPort, directory));
        return { command: ["nginx", "-e", "stderr", "-c", file] };
      });
      return { ...running, workers: variant.workers ?? 1 };
    },
  };
}

export const nginx = peer({ name: "nginx", setup: "stream, 1 worker" });
export const nginxDatagrams: Peer = {
  ...peer({ name: "nginx-udp", setup: "stream, listen with udp, 1 worker", isUdp: true }),
  only: UDP_ONLY,
};
export const nginxTuned: Peer = {
  ...peer({
    name: "nginx-tuned",
    setup: "the same with proxy_buffer_size 128k",
    server: "proxy_buffer_size 128k;",
  }),
  only: /^bulk-/,
};
export const nginxOfTwo: Peer = {
  ...peer({
    name: "nginx-2",
    setup: "stream, 2 workers, listen with reuseport",
    workers: 2,
    listen: "reuseport",
  }),
  only: /^scaling$/,
};
