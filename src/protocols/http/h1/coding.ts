// Which body a Transfer-Encoding announces (RFC 9112 section 6.1). This proxy knows `chunked` and nothing else: every other
// coding would have to be understood to know where a message ends. Pure; called by the readers of requests and answers.

import { LIST } from "./list.ts";
import { all, isText, octetsOf, TOKEN } from "./octets.ts";

const CHUNKED = octetsOf("chunked");

/** A coding that is not known, in a list that is well-formed: 501. */
export const UNKNOWN_CODING = 501;
/** Neither that nor `chunked` alone: 400. */
export const MALFORMED_CODING = 400;

/** @returns 0 for exactly `chunked`, in any case; otherwise the status of a request that has it. */
export function codingOf(bytes: Uint8Array, start: number, end: number): number {
  if (isText(bytes, start, end, CHUNKED)) return 0;
  let unknown = false;
  for (LIST.begin(bytes, start, end); LIST.next();) {
    if (LIST.start === LIST.end || !all(bytes, LIST.start, LIST.end, TOKEN))
      return MALFORMED_CODING;
    if (!isText(bytes, LIST.start, LIST.end, CHUNKED)) unknown = true;
  }
  return unknown ? UNKNOWN_CODING : MALFORMED_CODING;
}
