// Fast Open towards targets with the kernel's cooperation: a SYN that waits for bytes must not wait for ever, and what the
// client does while the handshake is under way must not be lost. Each in a network namespace of its own.
import { join } from "node:path";

import { forEveryEngine } from "../support/engines.ts";
import { testWithFastOpen } from "../support/namespace.ts";
import type { Scenario } from "./fastopen-process.ts";

const CLIENTS_AND_SERVERS = 3; // net.ipv4.tcp_fastopen
const SCRIPT = join(import.meta.dir, "fastopen-process.ts");

const SENTENCES: Record<Scenario, string> = {
  "target first": "with Fast Open a target that speaks first is heard",
  "client first": "with Fast Open a client may speak first, too",
  "target gone": "with Fast Open a target that is gone resets its clients",
  "a FIN": "a FIN without bytes that comes during the handshake of Fast Open arrives at the target",
  "few bytes and a FIN":
    "bytes and a FIN that come during the handshake of Fast Open arrive at the target",
  "many bytes and a FIN":
    "more bytes than fit into the SYN, and a FIN, that come during the handshake of Fast Open arrive at the target",
};

forEveryEngine((engine) => {
  for (const [scenario, sentence] of Object.entries(SENTENCES)) {
    testWithFastOpen(CLIENTS_AND_SERVERS, sentence, [SCRIPT, engine, scenario]);
  }
});
