// gost forwards a port to an address by itself, on one processor: `gost -L tcp://:PORT/HOST:PORT`.

import { FEW, type Peer, programVersion, startRelay } from "./peer.ts";

export const gost: Peer = {
  name: "gost",
  optional: true,
  setup: "-L tcp, GOMAXPROCS=1",
  only: FEW,
  available: async () => programVersion(["gost", "-V"], /gost v?(\S+)/),
  start: (targetPort, directory) =>
    startRelay("gost", directory, (port) => ({
      command: ["gost", "-L", `tcp://127.0.0.1:${port}/127.0.0.1:${targetPort}`],
      env: { GOMAXPROCS: "1", GOST_LOGGER_LEVEL: "error" },
    })),
};
