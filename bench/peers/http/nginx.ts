// nginx as a gateway, set up as somebody who knows it would: connections to the backend are kept, and buffers hold what a small
// answer needs; for large ones no temporary files and buffers that it does best with.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Backend } from "../../backends.ts";
import { type Peer, programVersion } from "../peer.ts";
import { certificate } from "./certificate.ts";
import { type GatewayPorts, HTTP_ONLY, startGateway } from "./gateway.ts";
import { nginxHttp, nginxServer } from "./nginx-config.ts";

/** The fields that every contestant adds. */
function forwarded(directive: string): string {
  return `${directive} Host $host;
      ${directive} X-Forwarded-For $proxy_add_x_forwarded_for;
      ${directive} X-Forwarded-Proto $scheme;
      ${directive} X-Forwarded-Host $host;`;
}

function location({ name }: Backend): string {
  if (name === "grpc") return `grpc_pass grpc://backend;\n      ${forwarded("grpc_set_header")}`;
  const connection =
    name === "websocket"
      ? `proxy_set_header Upgrade $http_upgrade;\n      proxy_set_header Connection "upgrade";`
      : `proxy_set_header Connection "";`;
  return `proxy_pass http://backend;
      proxy_http_version 1.1;
      ${connection}
      proxy_read_timeout 1h;
      proxy_buffers 16 128k;
      proxy_busy_buffers_size 512k;
      proxy_max_temp_file_size 0;
      ${forwarded("proxy_set_header")}`;
}

function configuration(backend: Backend, ports: GatewayPorts, directory: string): string {
  return nginxHttp(
    directory,
    ports.port,
    `upstream backend {
    server 127.0.0.1:${backend.port};
    keepalive 512;
    keepalive_requests 1000000000;
    keepalive_time 24h;
    keepalive_timeout 1h;
  }
  server {
    ${nginxServer(ports, certificate(directory))}
    location / {
      ${location(backend)}
    }
  }`,
  );
}

export const nginxGateway: Peer = {
  name: "nginx-http",
  setup: "http, 1 worker, keepalive 512 to the backend, proxy_buffers 16 128k, no temporary files",
  only: HTTP_ONLY,
  available: async () => programVersion(["nginx", "-v"], /nginx\/(\S+)/),
  start: (_targetPort, directory, backend) =>
    startGateway("nginx-http", directory, false, (ports) => {
      const file = join(directory, `nginx-http-${ports.port}.conf`);
      writeFileSync(file, configuration(backend, ports, directory));
      return { command: ["nginx", "-e", "stderr", "-c", file] };
    }),
};
