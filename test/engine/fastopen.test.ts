// Fast Open towards targets with the kernel's cooperation: a SYN that waits for bytes must not wait for ever, and what the
// client does while the handshake is under way must not be lost. What the system forbids is a warning. Each in a network
// namespace of its own.
import { expect } from "bun:test";
import { join } from "node:path";

import { forEveryEngine } from "../support/engines.ts";
import { testWithFastOpen } from "../support/namespace.ts";
import type { Scenario } from "./fastopen-process.ts";

const CLIENTS_AND_SERVERS = 3; // net.ipv4.tcp_fastopen
const SCRIPT = join(import.meta.dir, "fastopen-process.ts");

const SENTENCES: Record<Exclude<Scenario, "warnings">, string> = {
  "target first": "with Fast Open a target that speaks first is heard",
  "client first": "with Fast Open a client may speak first, too",
  "target gone": "with Fast Open a target that is gone resets its clients",
  "a FIN": "a FIN without bytes that comes during the handshake of Fast Open arrives at the target",
  "a header and a FIN":
    "a PROXY header and a FIN during the handshake of Fast Open arrive at the target",
  "a header, many bytes and a FIN":
    "a PROXY header, more bytes than fit into the SYN, and a FIN arrive at the target",
  "a header, target first":
    "with Fast Open a target that speaks first is heard behind a PROXY header",
  "no answer":
    "with Fast Open a target that never answers resets its clients after the connect timeout",
  "left out": "with Fast Open a target that never answers is left out after three timeouts",
  "long after":
    "with Fast Open the connect timeout leaves a connection alone that was made in time",
  "few bytes and a FIN":
    "bytes and a FIN that come during the handshake of Fast Open arrive at the target",
  "many bytes and a FIN":
    "more bytes than fit into the SYN, and a FIN, that come during the handshake of Fast Open arrive at the target",
};

const FOR_CLIENTS = (setting: number): string =>
  `fastopen does nothing for clients while net.ipv4.tcp_fastopen is ${setting}: allow it (sysctl net.ipv4.tcp_fastopen=3)`;
const TOWARDS_TARGET = (setting: number): string =>
  FOR_CLIENTS(setting).replace("for clients", "towards the target");

/** By net.ipv4.tcp_fastopen. */
const WARNINGS = [
  [0, "at both ends", [FOR_CLIENTS(0), TOWARDS_TARGET(0)]],
  [1, "for clients", [FOR_CLIENTS(1)]],
  [2, "towards the target", [TOWARDS_TARGET(2)]],
  [3, "nowhere", []],
] as const;

forEveryEngine((engine) => {
  for (const [value, where, expected] of WARNINGS) {
    const sentence = `with Fast Open forbidden ${where}, what does nothing is a warning said once, and clients are served`;
    testWithFastOpen(value, sentence, [SCRIPT, engine, "warnings"], ({ stdout }) => {
      expect(JSON.parse(stdout)).toEqual(expected);
    });
  }

  for (const [scenario, sentence] of Object.entries(SENTENCES)) {
    testWithFastOpen(CLIENTS_AND_SERVERS, sentence, [SCRIPT, engine, scenario]);
  }
});
