// Caddy as a gateway, on one processor. It adds the X-Forwarded fields by itself.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Backend } from "../../backends.ts";
import { type Peer, programVersion } from "../peer.ts";
import { certificate } from "./certificate.ts";
import { type GatewayPorts, HTTP_ONLY, startGateway } from "./gateway.ts";

function configuration(backend: Backend, ports: GatewayPorts, directory: string): string {
  const { certFile, keyFile } = certificate(directory);
  const scheme = backend.name === "grpc" ? "h2c" : "http";
  const transport =
    backend.name === "grpc"
      ? ""
      : "transport http {\n      keepalive_idle_conns_per_host 512\n    }";
  const handler = `reverse_proxy ${scheme}://127.0.0.1:${backend.port} {
    ${transport}
  }`;
  return `{
  admin off
  auto_https off
  log {
    level ERROR
  }
  servers 127.0.0.1:${ports.port} {
    protocols h1 h2c
  }
  servers 127.0.0.1:${ports.tlsPort} {
    protocols h1 h2
  }
}
http://127.0.0.1:${ports.port} {
  bind 127.0.0.1
  ${handler}
}
https://:${ports.tlsPort} {
  bind 127.0.0.1
  tls ${certFile} ${keyFile}
  ${handler}
}
`;
}

export const caddy: Peer = {
  name: "caddy",
  setup: "reverse_proxy, GOMAXPROCS=1, keepalive_idle_conns_per_host 512",
  only: HTTP_ONLY,
  available: async () => programVersion(["caddy", "version"], /^v?(\d[\w.]*)/),
  start: (_targetPort, directory, backend) =>
    startGateway("caddy", directory, true, (ports) => {
      const file = join(directory, `Caddyfile-${ports.port}`);
      writeFileSync(file, configuration(backend, ports, directory));
      const env = { GOMAXPROCS: "1", HOME: directory, XDG_DATA_HOME: directory };
      return { command: ["caddy", "run", "--config", file, "--adapter", "caddyfile"], env };
    }),
};
