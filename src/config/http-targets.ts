// What the target of a request means: which version is spoken with it, over TLS or in clear, and what its Host is. Pure.
// Called by the checks and by the compile step, so that both mean the same.

import { formatEndpoint } from "../shared/address.ts";
import { DEFAULT_PORTS, type Target } from "./target.ts";

export interface ForwardsTo {
  readonly scheme: "http" | "https" | "h2" | "h2c" | "h3";
  /** As Host has it: without the scheme's own port. A unix socket has no name. */
  readonly authority: string;
  /** Over TLS. */
  readonly secure: boolean;
}

/** An address alone is in clear, but for port 443, which nobody serves in clear. */
export function forwardsTo({ scheme: written, endpoint }: Target): ForwardsTo {
  const guess = endpoint.kind === "tcp" && endpoint.port === 443 ? "https" : "http";
  const scheme = written === null || written === "quic" ? guess : written;
  const secure = scheme !== "http" && scheme !== "h2c";
  if (endpoint.kind === "unix") return { scheme, authority: "localhost", secure };
  const whole = formatEndpoint(endpoint);
  const isUsual = endpoint.port === DEFAULT_PORTS[scheme];
  return { scheme, authority: isUsual ? whole.replace(/:\d+$/, "") : whole, secure };
}

/** gRPC goes over it. */
export function isHttp2(scheme: ForwardsTo["scheme"]): boolean {
  return scheme === "h2" || scheme === "h2c";
}
