// This project's protocol udp, with one worker.

import { UDP_ONLY } from "../../udp/contestants.ts";
import type { Peer } from "../peer.ts";
import { startDatagramRelay } from "./start.ts";

const NAME = "proxy-udp";
const cli = Bun.fileURLToPath(new URL("../../../src/cli.ts", import.meta.url));

export const proxyDatagrams: Peer = {
  name: NAME,
  setup: "protocol udp, 1 worker",
  only: UDP_ONLY,
  async available() {
    const manifest = Bun.file(new URL("../../../package.json", import.meta.url));
    return { version: (await manifest.json()).version };
  },
  start: (targetPort, directory) =>
    startDatagramRelay(NAME, directory, (port) => {
      const ends = [`-listen=127.0.0.1:${port}`, `-target=127.0.0.1:${targetPort}`];
      const command = [process.execPath, cli, "-protocol=udp", ...ends];
      return { command: [...command, "-workers=1", "-log-format=json"] };
    }),
};
