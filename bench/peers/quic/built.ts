// Whether a program of ours on quic-go was built, with the client that all measurements of raw QUIC need. Called by the
// contestants beside this file.

import { TOOLS } from "../build.ts";
import type { Availability } from "../peer.ts";
import { QUIC_LOAD } from "./start.ts";

export function builtOf(name: string): Availability {
  const PATH = process.env.PATH ?? "";
  for (const each of [name, QUIC_LOAD]) {
    if (Bun.which(each, { PATH }) === null)
      return { missing: `${each} is not built (--build-peers)` };
  }
  return { version: TOOLS.find((tool) => tool.name === QUIC_LOAD)!.version };
}
