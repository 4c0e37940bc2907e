// nginx as the server behind the proxy: files on a port of 127.0.0.1 and on http.sock in its folder.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { Daemon } from "./daemon.ts";
import { program } from "./programs.ts";

function configuration(folder: string, port: number, directives: string): string {
  return `
    worker_processes 1;
    daemon off;
    pid ${folder}/nginx.pid;
    error_log stderr warn;
    events { worker_connections 1024; }
    http {
      access_log off;
      client_body_temp_path ${folder}/body;
      proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/fastcgi;
      uwsgi_temp_path ${folder}/uwsgi;
      scgi_temp_path ${folder}/scgi;
      keepalive_requests 100000;
      ${directives}
      server { listen 127.0.0.1:${port}; listen unix:${folder}/http.sock; root ${folder}/www; }
    }`;
}

/**
 * @param files what it serves, by name; they stand in `www` of its folder.
 * @param directives of its http block, besides.
 */
export function startNginx(
  files: Readonly<Record<string, string | Uint8Array>>,
  directives = "",
): Promise<Daemon> {
  return Daemon.start((folder, port) => {
    mkdirSync(join(folder, "www"));
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(folder, "www", name), content);
    }
    writeFileSync(join(folder, "nginx.conf"), configuration(folder, port, directives));
    return [program("nginx"), "-p", folder, "-c", join(folder, "nginx.conf")];
  });
}
