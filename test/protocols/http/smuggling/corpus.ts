// All cases. Whoever runs them through a proxy sends `bytes` on one connection, answers every request that reaches the backend
// with 200 and no body, and looks at what has reached it.

import type { SmugglingCase } from "./case.ts";
import { CHUNKS } from "./chunks.ts";
import { CODINGS } from "./codings.ts";
import { CONNECTIONS } from "./connections.ts";
import { LENGTHS } from "./lengths.ts";
import { LINES } from "./lines.ts";

export const CORPUS: Readonly<Record<string, readonly SmugglingCase[]>> = {
  "Content-Length": LENGTHS,
  "Transfer-Encoding": CODINGS,
  chunks: CHUNKS,
  "request lines, Host and fields": LINES,
  "fields of the connection": CONNECTIONS,
};
