// This project's proxy over QUIC: an http3 and a quic listener, with one worker.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { ALPN, QUIC_ONLY } from "../../quic/contestants.ts";
import { certificate } from "../http/certificate.ts";
import type { Peer } from "../peer.ts";
import { builtOf } from "./built.ts";
import { QUIC_LOAD, startQuic } from "./start.ts";

const NAME = "proxy-quic";
const cli = Bun.fileURLToPath(new URL("../../../src/cli.ts", import.meta.url));

/** What the others add: X-Forwarded-*, and neither Via nor an id. */
const FORWARDED = { via: false, request_id: false };

export const proxyQuic: Peer = {
  name: NAME,
  setup: "protocols http3 and quic, driver quiche, 1 worker, without Via and request ids",
  optional: true, // its client is built by hand
  only: QUIC_ONLY,
  async available() {
    const client = builtOf(QUIC_LOAD);
    if ("missing" in client) return client;
    const manifest = Bun.file(new URL("../../../package.json", import.meta.url));
    return { version: (await manifest.json()).version };
  },
  start(targetPort, directory) {
    const { certFile, keyFile } = certificate(directory);
    const target = `127.0.0.1:${targetPort}`;
    return startQuic(NAME, directory, ALPN, "quicPort", ({ h3Port, quicPort }) => {
      const http3 = { name: "http3", listen: `127.0.0.1:${h3Port}`, target, forwarded: FORWARDED };
      const quic = { name: "quic", listen: `127.0.0.1:${quicPort}`, target, alpn: [ALPN] };
      const file = join(directory, `${NAME}-${quicPort}.yaml`);
      // JSON is YAML.
      const config = {
        version: "1.0",
        workers: 1,
        tls: { cert_file: certFile, key_file: keyFile },
        protocols: [http3, quic],
      };
      writeFileSync(file, JSON.stringify(config));
      return { command: [process.execPath, cli, "-config", file, "-log-format=json"] };
    });
  },
};
