// A relay of quic-go (relay.go), on one processor, built by build.ts.

import { ALPN, RAW_ONLY } from "../../quic/contestants.ts";
import { certificate } from "../http/certificate.ts";
import type { Peer } from "../peer.ts";
import { builtOf } from "./built.ts";
import { startQuic } from "./start.ts";

const NAME = "quic-relay";

export const quicGo: Peer = {
  name: "quic-go",
  optional: true,
  setup: "io.Copy between a stream and a connection, GOMAXPROCS=1",
  only: RAW_ONLY,
  available: async () => builtOf(NAME),
  start(targetPort, directory) {
    const { certFile, keyFile } = certificate(directory);
    return startQuic("quic-go", directory, ALPN, "quicPort", ({ quicPort }) => ({
      command: [NAME, `127.0.0.1:${quicPort}`, `127.0.0.1:${targetPort}`, certFile, keyFile, ALPN],
      env: { GOMAXPROCS: "1" },
    }));
  },
};
