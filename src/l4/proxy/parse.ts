// Reads the PROXY protocol header with which a trusted proxy begins a connection (proxy-protocol.txt section 2). The caller
// knows that there must be one: the specification forbids to guess. It is asked again with all bytes whenever more came.
// Invariant: an answer other than "more" never changes when more bytes follow.

import { FIRST_BYTES } from "../../shared/limits.ts";
import { invalid, MORE, type ProxyOutcome } from "./header.ts";
import { parseV1 } from "./v1.ts";
import { parseV2 } from "./v2.ts";

/** `proxy_protocol.accept` of the configuration. */
export type ProxyMode = "v1" | "v2" | "any";

/**
 * @param bytes what the client has sent so far, from its first byte.
 * @param maxBytes the longest header of version 2 that is accepted.
 */
export function parseProxyHeader(
  bytes: Uint8Array,
  mode: ProxyMode,
  maxBytes: number = FIRST_BYTES.proxyHeaderMaxBytes,
): ProxyOutcome {
  if (bytes.length === 0) return MORE;
  // The first bytes of the two versions differ: "P" and CR.
  if (bytes[0] === 0x50) {
    return mode === "v2" ? invalid("its PROXY header is of version 1") : parseV1(bytes);
  }
  if (bytes[0] === 0x0d) {
    return mode === "v1" ? invalid("its PROXY header is of version 2") : parseV2(bytes, maxBytes);
  }
  return invalid("it does not begin with a PROXY header");
}
