// Go's io.Copy both ways (relay.go), on one processor. io.Copy splices between TCP connections by itself. It is
// built once in the benchmark's temporary directory.

import { existsSync } from "node:fs";
import { join } from "node:path";

import { runChild } from "../children.ts";
import { type Peer, programVersion, startRelay } from "./peer.ts";

const BUILD_MS = 240_000; // the first build compiles the standard library
const source = Bun.fileURLToPath(new URL("./relay.go", import.meta.url));

export const go: Peer = {
  name: "go",
  optional: true,
  setup: "io.Copy, GOMAXPROCS=1",
  available: async () => programVersion(["go", "version"], /go(\d[\w.]*)/),
  async start(targetPort, directory) {
    const program = join(directory, "go-relay");
    if (!existsSync(program)) {
      await runChild(["go", "build", "-o", program, source], BUILD_MS, { CGO_ENABLED: "0" });
    }
    const running = await startRelay("go", directory, (port) => ({
      command: [program, `127.0.0.1:${port}`, `127.0.0.1:${targetPort}`],
      env: { GOMAXPROCS: "1" },
    }));
    // io.Copy takes a pipe for each direction before it waits for the first byte.
    return { ...running, descriptorsPerConnection: 6 };
  },
};
