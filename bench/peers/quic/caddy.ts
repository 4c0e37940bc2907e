// Caddy as an HTTP/3 gateway, on one processor.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { HTTP3_ONLY } from "../../quic/contestants.ts";
import { certificate } from "../http/certificate.ts";
import { type Peer, programVersion } from "../peer.ts";
import { builtOf } from "./built.ts";
import { QUIC_LOAD, startQuic } from "./start.ts";

const NAME = "caddy-h3";

export const caddyHttp3: Peer = {
  name: NAME,
  setup: "reverse_proxy, GOMAXPROCS=1, keepalive_idle_conns_per_host 512",
  optional: true,
  only: HTTP3_ONLY,
  async available() {
    const client = builtOf(QUIC_LOAD);
    return "missing" in client ? client : programVersion(["caddy", "version"], /^v?(\d[\w.]*)/);
  },
  start(targetPort, directory) {
    const { certFile, keyFile } = certificate(directory);
    return startQuic(NAME, directory, "h3", "h3Port", ({ h3Port }) => {
      const file = join(directory, `Caddyfile-${h3Port}`);
      writeFileSync(
        file,
        `{
  admin off
  auto_https off
  log {
    level ERROR
  }
}
https://:${h3Port} {
  bind 127.0.0.1
  tls ${certFile} ${keyFile}
  reverse_proxy http://127.0.0.1:${targetPort} {
    transport http {
      keepalive_idle_conns_per_host 512
    }
  }
}
`,
      );
      const env = { GOMAXPROCS: "1", HOME: directory, XDG_DATA_HOME: directory };
      return { command: ["caddy", "run", "--config", file, "--adapter", "caddyfile"], env };
    });
  },
};
