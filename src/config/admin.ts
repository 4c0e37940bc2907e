// The admin listener, as it is written: who reaches it has to show a token, unless that is this machine alone. Called by
// relations.ts.

import { formatEndpoint } from "../shared/address.ts";
import { ProxyError } from "../shared/errors.ts";
import { isLoopback, listenerAt } from "./addresses.ts";
import { scalar } from "./fields.ts";
import type { Report } from "./problems.ts";
import type { Config } from "./schema.ts";

/** Without the colon, which belongs to recording rules (prometheus.io, Metric names and labels). */
const PREFIX = "^[a-zA-Z_][a-zA-Z0-9_]*$";

/** What every name of a metric begins with. @throws ProxyError, as an issue of the grammar, for what no name can. */
export function metricsPrefix(description: string) {
  return scalar(
    (value) => {
      if (new RegExp(PREFIX).test(String(value))) return String(value);
      throw new ProxyError("ERR_CONFIG", `"${value}" cannot begin the name of a metric`, {
        cure: "Write letters, digits and _, a letter first: proxy_",
      });
    },
    "text",
    { description, type: "string", pattern: PREFIX, default: "proxy_" },
  );
}

export function checkAdmin({ admin, protocols }: Config, report: Report): void {
  if (admin === undefined) return;
  const { listen, token_file: tokenFile } = admin;
  if (listen.kind === "tcp" && !isLoopback(listen.host) && tokenFile === undefined) {
    const cure = `Write 127.0.0.1:${listen.port}, or add token_file`;
    report(["admin", "listen"], `can be reached from other machines, without a token. ${cure}`);
  }
  const taken = listenerAt(listen, protocols);
  if (taken < 0) return;
  const where = formatEndpoint(protocols[taken]!.listen);
  report(["admin", "listen"], `is taken by protocols[${taken}], which listens on ${where}`);
}
