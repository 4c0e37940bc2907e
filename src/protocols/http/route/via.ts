// Via (RFC 9110 section 7.6.3): one more element for this proxy, with the version that the message came in by. A field of its
// own behind those that are there means the same as an element at the end of their list.

import type { Version } from "../message/heads.ts";
import { type BlockField, latin1 } from "./block.ts";

/** Not a host's name: nobody outside need know it. */
const PSEUDONYM = "bun-tunnel";

const PROTOCOLS: Readonly<Record<Version, string>> = { 10: "1.0", 11: "1.1", 20: "2.0", 30: "3.0" };

export function viaField(version: Version): BlockField {
  return { name: "via", value: latin1(`${PROTOCOLS[version]} ${PSEUDONYM}`) };
}
