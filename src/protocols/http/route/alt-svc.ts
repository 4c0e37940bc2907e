// What clients that came over TCP are told of HTTP/3 (Alt-Svc, RFC 7838): the same host, at the port that they asked for, which
// is the one that they reach us by, whatever stands in between. Pure; called by guide.ts.

import { type BlockField, latin1 } from "./block.ts";
import { portOf } from "./forwarded.ts";

/** @param authority of a request over TLS. @param seconds for how long clients may remember it. */
export function altSvcField(authority: string, seconds: number): BlockField {
  return { name: "alt-svc", value: latin1(`h3=":${portOf(authority, "https")}"; ma=${seconds}`) };
}
