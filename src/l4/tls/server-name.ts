// Host names of TLS clients and of routes in one form: lower case, without the dot at the end.

import { isIP } from "node:net";

/** RFC 1035 section 2.3.4; 255 bytes on the wire are 253 characters. */
const NAME_MAX = 253;
const LABEL = /^[a-z0-9_-]{1,63}$/;

/** @returns null if the text is no host name: not ASCII, an IP address, an empty or long label. */
export function normalizeHostName(text: string): string | null {
  const name = text.toLowerCase().replace(/\.$/, "");
  if (name.length > NAME_MAX || isIP(name) !== 0) return null;
  return name.split(".").every((label) => LABEL.test(label)) ? name : null;
}
