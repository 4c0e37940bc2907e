// Requests that came before the handshake was over (RFC 8470): whoever recorded them can send them again, as often as they like.
// So only methods that change nothing are let through, marked for the backend, which may answer 425 as well. Pure; called by
// guide.ts.

import type { RequestHead } from "../message/heads.ts";
import { idOf } from "../message/names.ts";
import { FieldBlock, latin1 } from "./block.ts";

const EARLY_DATA = idOf("early-data");
/** RFC 9110 section 9.2.1; TRACE is never passed on. */
const SAFE: readonly string[] = ["GET", "HEAD", "OPTIONS"];
const MARK = new FieldBlock([{ name: "early-data", value: latin1("1") }]);

/** A WebSocket is no safe thing to repeat, nor is anything that has a body. */
export function mayBeEarly(head: RequestHead): boolean {
  return SAFE.includes(head.method) && head.upgrade === "" && head.contentLength === 0;
}

/** RFC 8470 section 5.1: once, whatever the client says of itself. */
export function markEarly(head: RequestHead): void {
  head.fields.removeAll(EARLY_DATA);
  MARK.appendTo(head.fields);
}
