// nginx's stream module with one worker: as installed, and for bulk also with the larger buffers that help it there.

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type Availability, type Peer, programVersion, startRelay } from "./peer.ts";

const CONNECTIONS = 16_384; // two for each relayed connection; the idle measurement opens 5,000

/** `load_module` for builds that have the stream module as a file of its own, as Debian's. Empty if it is built in. */
function loadModule(): string | null {
  const { stderr } = Bun.spawnSync(["nginx", "-V"], { env: process.env });
  const built = stderr.toString();
  if (/--with-stream(\s|$)/.test(built)) return "";
  const path = /--modules-path=(\S+)/.exec(built)?.[1] ?? "/usr/lib/nginx/modules";
  const file = join(path, "ngx_stream_module.so");
  return existsSync(file) ? `load_module ${file};` : null;
}

function configuration(
  listenPort: number,
  targetPort: number,
  directory: string,
  extra: string,
): string {
  return `${loadModule()}
daemon off;
worker_processes 1;
worker_rlimit_nofile ${CONNECTIONS + 256};
pid ${join(directory, `nginx-${listenPort}.pid`)};
error_log stderr warn;
events { worker_connections ${CONNECTIONS}; }
stream {
  server {
    listen 127.0.0.1:${listenPort};
    proxy_pass 127.0.0.1:${targetPort};
    proxy_timeout 1h;
    ${extra}
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

function peer(name: string, setup: string, extra: string): Peer {
  return {
    name,
    setup,
    available,
    async start(targetPort, directory) {
      const file = join(directory, `${name}-${targetPort}.conf`);
      return startRelay(name, directory, (port) => {
        writeFileSync(file, configuration(port, targetPort, directory, extra));
        return { command: ["nginx", "-e", "stderr", "-c", file] };
      });
    },
  };
}

export const nginx = peer("nginx", "stream, 1 worker", "");
export const nginxTuned: Peer = {
  ...peer("nginx-tuned", "the same with proxy_buffer_size 128k", "proxy_buffer_size 128k;"),
  only: /^bulk-/,
};
