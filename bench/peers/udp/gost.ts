// gost forwards datagrams of a port to an address by itself, on one processor: `gost -L udp://:PORT/HOST:PORT`.

import { UDP_ONLY } from "../../udp/contestants.ts";
import { type Peer, programVersion } from "../peer.ts";
import { startDatagramRelay } from "./start.ts";

export const gostDatagrams: Peer = {
  name: "gost-udp",
  optional: true,
  setup: "-L udp with keepalive, GOMAXPROCS=1",
  only: UDP_ONLY,
  available: async () => programVersion(["gost", "-V"], /gost v?(\S+)/),
  start: (targetPort, directory) =>
    startDatagramRelay("gost-udp", directory, (port) => ({
      command: ["gost", "-L", `udp://127.0.0.1:${port}/127.0.0.1:${targetPort}?keepalive=true`],
      env: { GOMAXPROCS: "1", GOST_LOGGER_LEVEL: "error" },
    })),
};
