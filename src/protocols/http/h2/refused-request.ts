// What the access log can say of a request that this codec refuses: its pseudo-header fields, as far as they came. Called by
// server.ts.

import type { RefusedRequest } from "../exchange.ts";
import type { RequestHead } from "../message/heads.ts";

/** @param head as it was decoded: valid or not, read or not. */
export function refusedRequest(
  { fields }: RequestHead,
  status: number,
  version = 20,
): RefusedRequest {
  const values = new Map<string, string>();
  for (let i = 0; i < fields.count; i++) {
    // The arena has what was decoded, also of fields that were taken out when they were read.
    const name = fields.text(fields.ranges[i * 4]!, fields.ranges[i * 4 + 1]!);
    if (!name.startsWith(":")) break;
    values.set(name, fields.value(i));
  }
  return {
    status,
    version,
    method: values.get(":method") ?? "",
    host: values.get(":authority") ?? "",
    path: values.get(":path") ?? "",
    bytes: 0,
  };
}
