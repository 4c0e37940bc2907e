// @matrixai/quic's own server, with its own loop: what the proxy's driver uses the native binding of (matrixai-relay.ts).

import { ALPN, RAW_ONLY } from "../../quic/contestants.ts";
import { certificate } from "../http/certificate.ts";
import type { Peer, RelayCommand } from "../peer.ts";
import { builtOf } from "./built.ts";
import { QUIC_LOAD, startQuic } from "./start.ts";

const program = Bun.fileURLToPath(new URL("./matrixai-relay.ts", import.meta.url));
const manifest = new URL("../../../node_modules/@matrixai/quic/package.json", import.meta.url);

export const matrixai: Peer = {
  name: "matrixai",
  optional: true,
  setup: "QUICServer of @matrixai/quic, web streams to a socket of Bun",
  only: RAW_ONLY,
  async available() {
    const client = builtOf(QUIC_LOAD);
    return "missing" in client ? client : { version: (await Bun.file(manifest).json()).version };
  },
  start(targetPort, directory) {
    const { certFile, keyFile } = certificate(directory);
    const relay = ({ quicPort }: { quicPort: number }): RelayCommand => {
      const ports = [String(quicPort), String(targetPort)];
      return { command: [process.execPath, program, ...ports, certFile, keyFile, ALPN] };
    };
    return startQuic("matrixai", directory, ALPN, "quicPort", relay, "Started QUICServer");
  },
};
