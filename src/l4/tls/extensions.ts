// The two extensions of a ClientHello that decide where a connection goes. Called by client-hello.ts.

import { isIP } from "node:net";

import type { Cursor } from "./cursor.ts";
import { normalizeHostName } from "./server-name.ts";

const HOST_NAME = 0;

/**
 * RFC 6066 section 3: one host name at most, among names of types that nobody has defined. An IP address is not permitted
 * as a name; some clients send one all the same, and it is taken as no name, which is what they would have had to send.
 * @returns undefined if it is invalid: several names, none, or one that cannot be a host's.
 */
export function readServerName(data: Cursor): string | null | undefined {
  const list = data.vector(2, 1, 0xffff);
  if (data.failed || data.rest) return undefined;
  let sni: string | null | undefined;
  while (list.rest) {
    const type = list.uint8();
    const name = list.vector(2, type === HOST_NAME ? 1 : 0, 0xffff);
    if (list.failed) return undefined;
    if (type !== HOST_NAME) continue;
    if (sni !== undefined) return undefined;
    const text = name.latin1();
    sni = isIP(text) === 0 ? normalizeHostName(text) : null;
    if (sni === null && isIP(text) === 0) return undefined;
  }
  return sni === undefined ? null : sni;
}

/** RFC 7301 section 3.1. @returns undefined if it is invalid: no name, or an empty one. */
export function readAlpn(data: Cursor): readonly string[] | undefined {
  const list = data.vector(2, 2, 0xffff);
  if (data.failed || data.rest) return undefined;
  const protocols: string[] = [];
  while (list.rest) {
    const name = list.vector(1, 1, 0xff);
    if (list.failed) return undefined;
    const text = name.latin1();
    if (!isGrease(text)) protocols.push(text);
  }
  return protocols;
}

/** RFC 8701 section 2: {0x0A,0x0A}, {0x1A,0x1A} … {0xFA,0xFA}, sent so that servers keep ignoring what they do not know. */
function isGrease(text: string): boolean {
  const first = text.charCodeAt(0);
  return text.length === 2 && first === text.charCodeAt(1) && (first & 0x0f) === 0x0a;
}
