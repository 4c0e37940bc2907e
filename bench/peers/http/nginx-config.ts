// What nginx as a backend and nginx as a contestant have in common. Pure.

import { join } from "node:path";

import type { Ports } from "../../backends.ts";
import type { Certificate } from "./certificate.ts";

/** One worker, no log, and no limit that a benchmark would reach. */
export function nginxHttp(directory: string, port: number, inside: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${join(directory, `nginx-${port}-${name}`)};`)
    .join("\n  ");
  return `daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid ${join(directory, `nginx-${port}.pid`)};
error_log stderr warn;
events { worker_connections 8192; }
http {
  ${temporary}
  access_log off;
  server_tokens off;
  sendfile on;
  keepalive_requests 1000000000;
  keepalive_time 24h;
  http2_max_concurrent_streams 1000;
  ${inside}
}
`;
}

/**
 * Where a server listens. Without a session cache and tickets: every handshake is a full one, for all contestants, and
 * connections that last do not care.
 */
export function nginxServer(ports: Ports, { certFile, keyFile }: Certificate): string {
  return `listen 127.0.0.1:${ports.port};
    listen 127.0.0.1:${ports.h2cPort} http2;
    listen 127.0.0.1:${ports.tlsPort} ssl http2;
    ssl_certificate ${certFile};
    ssl_certificate_key ${keyFile};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache off;
    ssl_session_tickets off;`;
}
