// Which key of a listener means something to which protocol. A key that stands where it has no effect is an error, with what to
// write instead. Called by relations.ts; what udp refuses with words of its own is in udp.ts.

import type { Path, Report } from "./problems.ts";
import type { ProtocolConfig } from "./schema.ts";

type Name = ProtocolConfig["name"];

const REQUESTS: readonly Name[] = ["http", "http2", "http3"];
const OVER_TLS: readonly Name[] = ["tls", "http2", "http3", "quic"];

/** By path below the entry. What is not here means something to every protocol, or udp.ts says so. */
const HOMES: ReadonlyMap<string, readonly Name[]> = new Map(
  Object.entries<readonly Name[]>({
    alpn: ["tls", "quic"],
    tls: OVER_TLS,
    quic: ["quic"],
    mirror: ["tcp"],
    backpressure: ["tcp", "tls", "http", "http2", "http3", "quic"],
    proxy_protocol: ["tcp", "tls", "http", "http2"],
    routes: ["tcp", "tls", "http", "http2", "http3"],
    headers: REQUESTS,
    rewrite: REQUESTS,
    redirect: REQUESTS,
    retries: REQUESTS,
    compress: REQUESTS,
    grpc_web: REQUESTS,
    grpc_web_origins: REQUESTS,
    host: REQUESTS,
    trusted: REQUESTS,
    forwarded: REQUESTS,
    client_subject_header: ["http2", "http3"],
    tcp: ["http3"],
    alt_svc: ["http3"],
    early_data: ["http3", "quic"],
    "limits.max_sessions": ["udp"],
    "limits.max_head": REQUESTS,
    "limits.max_head_fields": REQUESTS,
    "limits.max_body": REQUESTS,
    "limits.max_streams": [...REQUESTS, "quic"],
    "limits.max_requests": REQUESTS,
    "limits.min_rate": REQUESTS,
    "timeouts.proxy_header": ["tcp", "tls", "http", "http2"],
    "timeouts.client_hello": ["tcp"],
    "timeouts.handshake": OVER_TLS,
    "timeouts.head": REQUESTS,
    "timeouts.keepalive": REQUESTS,
    "timeouts.response": REQUESTS,
    "timeouts.total": REQUESTS,
    "timeouts.backend_keepalive": REQUESTS,
  }),
);

/** What to do instead, where that is not to use another protocol. */
function cureFor(key: string, name: Name): string | undefined {
  if (key === "limits.max_sessions") return "Write max_connections";
  if (key === "timeouts.client_hello" && OVER_TLS.includes(name)) return "Write handshake";
  if (key === "tls" && name === "http") return "For TLS, write name: http2";
  if (key === "tls" && name === "tcp") return "To decrypt, write name: tls";
  if (key === "timeouts.keepalive") return "Of sockets, keepalive is under socket";
  return undefined;
}

export function checkKeyHomes(entry: ProtocolConfig, path: Path, report: Report): void {
  for (const [key, names] of HOMES) {
    if (names.includes(entry.name)) continue;
    const steps = key.split(".");
    if (!isGiven(entry, steps)) continue;
    const cure = cureFor(key, entry.name) ?? `It is for ${names.join(", ")}`;
    report([...path, ...steps], `has no effect on ${entry.name}. ${cure}`, "key");
  }
}

/** Whether a key means something to a protocol. @param steps below the entry. */
export function isAtHome(steps: Path, name: unknown): boolean {
  return HOMES.get(steps.join("."))?.includes(name as Name) ?? true;
}

function isGiven(entry: ProtocolConfig, steps: readonly string[]): boolean {
  let at: unknown = entry;
  for (const step of steps) {
    if (typeof at !== "object" || at === null) return false;
    at = (at as Record<string, unknown>)[step];
  }
  return at !== undefined;
}
