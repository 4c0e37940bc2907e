// haproxy as a gateway, with one thread.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Backend } from "../../backends.ts";
import { connectionsMax, type Peer, programVersion } from "../peer.ts";
import { certificate } from "./certificate.ts";
import { type GatewayPorts, HTTP_ONLY, startGateway } from "./gateway.ts";

const PIPES_MAX = 256;

/** A connection in clear that begins as HTTP/2 does is taken for that. */
function configuration(backend: Backend, ports: GatewayPorts, directory: string): string {
  const { bothFile } = certificate(directory);
  return `global
  nbthread 1
  maxconn ${connectionsMax()}
  maxpipes ${PIPES_MAX}
  tune.h2.max-concurrent-streams 1000
  tune.ssl.cachesize 0
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
defaults
  mode http
  option http-keep-alive
  option splice-auto
  http-reuse always
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend front
  bind 127.0.0.1:${ports.port}
  bind 127.0.0.1:${ports.tlsPort} ssl crt ${bothFile} alpn h2,http/1.1
  option forwardfor
  http-request set-header X-Forwarded-Proto https if { ssl_fc }
  http-request set-header X-Forwarded-Proto http if !{ ssl_fc }
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  default_backend back
backend back
  server target 127.0.0.1:${backend.port} pool-max-conn 512${backend.name === "grpc" ? " proto h2" : ""}
`;
}

export const haproxyGateway: Peer = {
  name: "haproxy-http",
  setup: "mode http, 1 thread, http-reuse always, option splice-auto",
  only: HTTP_ONLY,
  available: async () => programVersion(["haproxy", "-v"], /version (\d[\w.]*)/),
  start: (_targetPort, directory, backend) =>
    startGateway("haproxy-http", directory, true, (ports) => {
      const file = join(directory, `haproxy-http-${ports.port}.cfg`);
      writeFileSync(file, configuration(backend, ports, directory));
      return { command: ["haproxy", "-db", "-f", file] };
    }),
};
