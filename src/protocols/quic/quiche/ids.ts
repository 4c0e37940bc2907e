// What a connection is called: each side gives the other spare ids, by which it goes on from another address without being
// followed there (RFC 9000 section 5.1). Called by endpoints and by what connects, at each turn of an open connection.

import { randomBytes } from "node:crypto";

import type { HostPort } from "./binding.ts";
import type { QuicheConnection } from "./connection.ts";
import { CID_BYTES } from "./packets.ts";
import { TOKENS } from "./tokens.ts";

export function newCid(): Buffer {
  return randomBytes(CID_BYTES);
}

/** Gives the peer as many ids as it takes, each once. */
export function giveIds(
  { native }: QuicheConnection,
  local: HostPort,
  given: (cid: Buffer) => void,
): void {
  while (native.sourceCidsLeft() > 0) {
    const cid = newCid();
    try {
      native.newSourceCid(cid, TOKENS.resetNumber(cid, local), false);
    } catch {
      return; // it takes no more
    }
    given(cid);
  }
}
