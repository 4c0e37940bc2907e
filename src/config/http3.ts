// Checks of an http3 listener alone: what QUIC has not, and what is announced to nobody. Called by relations.ts.

import { formatEndpoint } from "../shared/address.ts";
import { servesTcp } from "./addresses.ts";
import type { Path, Report } from "./problems.ts";
import type { ProtocolConfig } from "./schema.ts";

type Entries = readonly (ProtocolConfig | undefined)[];

export function checkHttp3(
  entry: ProtocolConfig,
  entries: Entries,
  path: Path,
  report: Report,
): void {
  const { listen, alt_svc: altSvcMs } = entry;
  if (listen.kind === "unix") {
    const message = `"unix:${listen.path}" is a stream socket, and QUIC needs one of datagrams. Write host:port`;
    report([...path, "listen"], message);
  }
  if (altSvcMs === undefined) return;
  if (altSvcMs % 1_000 !== 0) {
    const message = "is not a whole number of seconds, which is what clients are told";
    report([...path, "alt_svc"], message);
  }
  if (altSvcMs === 0 || servesTcp(entry, entries)) return;
  const why =
    entry.tcp === false
      ? "with tcp: false"
      : `where another listener has ${formatEndpoint(listen)} over TCP. Leave that out: http3 serves both`;
  report([...path, "alt_svc"], `has no effect ${why}`, "key");
}
