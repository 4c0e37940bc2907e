// Whether a connection in clear begins as HTTP/2 by prior knowledge (RFC 9113 section 3.4). No request of HTTP/1.1 does: `PRI`
// was reserved for this. Pure; called by the listener before it chooses a codec.

import { octetsOf } from "./octets.ts";

const PREFACE = octetsOf("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export type PrefaceVerdict = "yes" | "no" | "more";

/** @param bytes from the connection's first one on, as far as they have come. */
export function beginsAsHttp2(bytes: Uint8Array): PrefaceVerdict {
  const available = Math.min(PREFACE.length, bytes.length);
  for (let i = 0; i < available; i++) if (bytes[i] !== PREFACE[i]) return "no";
  return available === PREFACE.length ? "yes" : "more";
}
