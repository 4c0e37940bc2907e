// Targets as the configuration writes them: an address, or for protocols that carry requests a URL that also names the
// protocol towards the target. Pure. Called by the schema; which protocol takes which scheme is decided in relations.ts.

import { type Endpoint, formatEndpoint, parseEndpoint } from "../shared/address.ts";
import { ProxyError } from "../shared/errors.ts";
import type { Path } from "./problems.ts";

/** The port that a URL without one means; null: the URL must have one. */
export const DEFAULT_PORTS = {
  http: 80,
  https: 443,
  h2: 443,
  h2c: 80,
  h3: 443,
  quic: null,
} as const;

export const TARGET_SCHEMES = Object.keys(DEFAULT_PORTS) as readonly TargetScheme[];
export type TargetScheme = keyof typeof DEFAULT_PORTS;

export interface Target {
  /** null: an address alone. */
  readonly scheme: TargetScheme | null;
  readonly endpoint: Endpoint;
}

/**
 * Reads `host:port`, `unix:/path`, `scheme://host[:port]`, or `scheme://unix:/path`.
 * @throws ProxyError ERR_ADDRESS, with the cure.
 */
export function parseTarget(text: string): Target {
  const match = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(text);
  if (!match) return { scheme: null, endpoint: parseEndpoint(text, "target") };
  const scheme = TARGET_SCHEMES.find((name) => name === match[1]!.toLowerCase());
  if (scheme === undefined) {
    throw new ProxyError("ERR_ADDRESS", `"${text}" is not a target: unknown scheme "${match[1]}"`, {
      cure: otherScheme(match[1]!.toLowerCase(), match[2]!),
    });
  }
  if (match[2]!.startsWith("unix:"))
    return { scheme, endpoint: parseEndpoint(match[2]!, "target") };
  const authority = match[2]!.replace(/\/$/, "");
  if (/[/?#@]/.test(authority)) {
    throw new ProxyError(
      "ERR_ADDRESS",
      `"${text}" is not a target: only a host and a port may follow ://`,
      {
        cure: `Write ${scheme}://host:port; for a path below, rewrite: { add_prefix: /path }`,
      },
    );
  }
  const port = DEFAULT_PORTS[scheme];
  const hasPort = /:\d*$/.test(authority.replace(/^\[[^\]]*\]/, ""));
  const address = hasPort || port === null ? authority : `${authority}:${port}`;
  return { scheme, endpoint: parseEndpoint(address, "target") };
}

/** Schemes of other programs, and ours; none: an address is enough. */
const OTHER_SCHEMES = new Map([
  ["grpc", "h2c"],
  ["grpcs", "h2"],
  ["http2", "h2"],
  ["ws", "http"],
  ["wss", "https"],
  ["tcp", ""],
  ["tls", ""],
  ["udp", ""],
]);

function otherScheme(scheme: string, rest: string): string {
  if (scheme === "unix") return `Write unix:/${rest.replace(/^\/+/, "")}`;
  const ours = OTHER_SCHEMES.get(scheme);
  if (ours === undefined) return `Write host:port, or a URL with ${TARGET_SCHEMES.join(", ")}`;
  const address = rest.replace(/[/?#].*$/, "");
  return ours === "" ? `Write ${address}` : `Write ${ours}://${address}`;
}

/** The text that `parseTarget` reads back to the same value. */
export function formatTarget({ scheme, endpoint }: Target): string {
  return scheme === null ? formatEndpoint(endpoint) : `${scheme}://${formatEndpoint(endpoint)}`;
}

/** A target as the grammar gives it: an address, or one with settings. */
export type Written = Target | { readonly address: Target };

export function addressOf(written: Written): Target {
  return "address" in written ? written.address : written;
}

/** Where its address stands. */
export function addressPath(written: Written, path: Path): Path {
  return "address" in written ? [...path, "address"] : path;
}
