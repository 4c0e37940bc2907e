// The small answer that a filter gives to a request that it cannot pass on.

import { ResponseHead } from "../message/heads.ts";
import type { OwnAnswer } from "../passage.ts";

/** @param message for people, without a line's end. */
export function refusal(status: number, message: string): OwnAnswer {
  const body = new TextEncoder().encode(`${message}\n`);
  const head = new ResponseHead();
  head.status = status;
  head.contentLength = body.length;
  head.fields.add("content-type", "text/plain; charset=utf-8");
  return { head, body };
}
