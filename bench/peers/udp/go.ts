// What a Go program does with net.UDPConn (relay.go), on one processor. It is built once in the benchmark's temporary directory.

import { existsSync } from "node:fs";
import { join } from "node:path";

import { runChild } from "../../children.ts";
import { UDP_ONLY } from "../../udp/contestants.ts";
import { type Peer, programVersion } from "../peer.ts";
import { startDatagramRelay } from "./start.ts";

const BUILD_MS = 240_000; // the first build compiles the standard library
const source = Bun.fileURLToPath(new URL("./relay.go", import.meta.url));

export const goDatagrams: Peer = {
  name: "go-udp",
  optional: true,
  setup: "net.UDPConn, a goroutine for each client, GOMAXPROCS=1",
  only: UDP_ONLY,
  available: async () => programVersion(["go", "version"], /go(\d[\w.]*)/),
  async start(targetPort, directory) {
    const program = join(directory, "go-udp-relay");
    if (!existsSync(program)) {
      await runChild(["go", "build", "-o", program, source], BUILD_MS, { CGO_ENABLED: "0" });
    }
    return startDatagramRelay("go-udp", directory, (port) => ({
      command: [program, `127.0.0.1:${port}`, `127.0.0.1:${targetPort}`],
      env: { GOMAXPROCS: "1" },
    }));
  },
};
