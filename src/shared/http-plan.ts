// The plan of listeners that speak TLS and HTTP: part of plan.ts, in a file of its own. Plain frozen data with every default
// filled in.

import type { Endpoint } from "./address.ts";
import type {
  AccessPlan,
  BuffersPlan,
  GroupPlan,
  LimitsPlan,
  ListenerPlan,
  ProxyProtocolPlan,
  RoutePlan,
  SocketPlan,
  TargetPlan,
  TimeoutsPlan,
} from "./plan.ts";
import type { QuicClientPlan } from "./quic-plan.ts";

/** What clients begin with. */
export type AcceptProxyPlan = Pick<ProxyProtocolPlan, "accept" | "trusted">;

/** A TLS listener whose decrypted bytes go to a target as they are. */
export interface TlsPlan extends StreamsPlan {
  readonly protocol: "tls";
  readonly tls: TlsServerPlan;
}

/** A raw TCP (or unix stream) listener with quic:// targets, which only gateway workers can reach. */
export interface LinkPlan extends StreamsPlan {
  readonly protocol: "link";
  readonly tls: null;
}

interface StreamsPlan {
  /** As RelayPlan.key: `tls :443`; of a link `tcp :6379`. */
  readonly key: string;
  readonly listen: Endpoint;
  /** As RelayPlan.groups, with routes by server name and ALPN (RelayPlan.routes). */
  readonly groups: readonly StreamGroupPlan[];
  readonly routes: readonly RoutePlan[];
  readonly access: AccessPlan;
  readonly proxyProtocol: AcceptProxyPlan;
  /** Towards targets. */
  readonly sendProxy: ProxyProtocolPlan["send"];
  readonly limits: LimitsPlan;
  readonly timeouts: Omit<TimeoutsPlan, "clientHelloMs"> & {
    readonly handshakeMs: number;
  };
  readonly socket: SocketPlan;
  readonly buffers: BuffersPlan;
}

export interface StreamGroupPlan extends GroupPlan {
  readonly targets: readonly StreamTargetPlan[];
}
export interface SecureTargetPlan extends TargetPlan {
  /** null: in clear. */
  readonly tls: TlsClientPlan | null;
}
export interface StreamTargetPlan extends SecureTargetPlan {
  /** Each connection to it is a stream of one QUIC connection; null: it is reached over TCP or a unix socket. */
  readonly quic: QuicClientPlan | null;
}

/**
 * What a TLS listener shows its clients and asks of them. Files are named, not read: their contents are secrets (see
 * certificates).
 */
export interface TlsServerPlan {
  /** In order; the first is for names that none covers, and for clients that name none. */
  readonly certificates: readonly CertificatePlan[];
  /** Behind those come the certificates of Plan.autoTls, of which there may be none yet. */
  readonly managed: boolean;
  /** A name that no certificate covers may get one at its first handshake (AutoTlsPlan.onDemand). */
  readonly onDemand: boolean;
  /** CAs of client certificates; null: none are asked for. */
  readonly clientCaFile: string | null;
  readonly clientAuth: "none" | "request" | "require";
  readonly minVersion: "1.2" | "1.3";
  /** Wire order of preference: `["h2", "http/1.1"]`; empty: none is agreed upon. */
  readonly alpn: readonly string[];
}

export interface CertificatePlan {
  readonly certFile: string;
  readonly keyFile: string;
}

/** How TLS is spoken with a target. */
export interface TlsClientPlan {
  /** The name that is asked for and verified; null: the target's own host. */
  readonly serverName: string | null;
  /** null: the system's roots. */
  readonly caFile: string | null;
  /** Our own certificate (mTLS). */
  readonly certificate: CertificatePlan | null;
  /** true: `insecure_skip_verify` was asked for by name. */
  readonly insecure: boolean;
}

/** A listener that forwards requests. */
export interface HttpPlan {
  /** As RelayPlan.key: `http :80`, `http3 :443`. */
  readonly key: string;
  readonly protocol: "http" | "http2" | "http3";
  readonly listen: Endpoint;
  /** null: in clear, HTTP/1.1 and HTTP/2 by prior knowledge. */
  readonly tls: TlsServerPlan | null;
  /** In order; the first that fits decides. A listener's own target is the last one, which fits all. */
  readonly routes: readonly HttpRoutePlan[];
  /** Where routes lead to. */
  readonly groups: readonly HttpGroupPlan[];
  readonly access: AccessPlan;
  /** Address blocks of proxies whose Forwarded and X-Forwarded-* are believed and added to; from others they are replaced. */
  readonly trusted: readonly string[];
  readonly proxyProtocol: AcceptProxyPlan;
  readonly limits: HttpLimitsPlan;
  readonly timeouts: HttpTimeoutsPlan;
  readonly socket: SocketPlan;
  readonly buffers: BuffersPlan;
  readonly accessLog: AccessLogPlan | null;
  /** null: not over QUIC. */
  readonly h3: Http3Plan | null;
}

const REQUESTS: readonly ListenerPlan["protocol"][] = ["http", "http2", "http3"];

export function isHttpPlan(plan: ListenerPlan): plan is HttpPlan {
  return REQUESTS.includes(plan.protocol);
}

/** What an http3 listener is besides an http2 listener. */
export interface Http3Plan {
  /** The same port over TCP, as http2. */
  readonly tcp: boolean;
  /** For how long clients that come over TCP may remember it (Alt-Svc, `ma`); 0: they are not told. */
  readonly altSvcSeconds: number;
  /** Safe requests that came before the handshake was over are taken, and marked (RFC 8470). */
  readonly earlyData: boolean;
}

export interface AccessLogPlan {
  /** `-` for the standard output. */
  readonly path: string;
  readonly format: "json" | "combined";
}

export interface HttpRoutePlan {
  /** What metrics call it (route-names.ts). Those that are written as one have the same. */
  readonly name: string;
  readonly match: HttpMatchPlan;
  /** Index of `groups`; null for a redirect. */
  readonly group: number | null;
  readonly redirect: RedirectPlan | null;
  readonly request: HeaderEditPlan;
  readonly response: HeaderEditPlan;
  /** Of the path; null: as it came. */
  readonly rewrite: RewritePlan | null;
  readonly retries: RetryPlan;
  readonly compress: boolean;
  /** gRPC-Web is translated to gRPC: for targets that speak h2 or h2c. */
  readonly grpcWeb: boolean;
  /**
   * Origins (`https://app.example.com`, or `*` for any) whose pages may call gRPC-Web here although they come from elsewhere:
   * their preflights are answered, and their answers say so (CORS). Empty: only pages of the same origin, which need nothing.
   */
  readonly grpcWebOrigins: readonly string[];
  /** What is sent as Host: the client's own, or the target's. */
  readonly host: "client" | "target";
  /** Fields towards the backend that this proxy adds by itself. */
  readonly forwarded: ForwardedPlan;
  /** The listener's, where the route has none of its own. */
  readonly limits: Pick<HttpLimitsPlan, "bodyBytes">;
  readonly timeouts: RouteTimeoutsPlan;
}

export type RouteTimeoutsPlan = Pick<HttpTimeoutsPlan, "responseMs" | "idleMs" | "totalMs">;

export interface HttpMatchPlan {
  /** Lower case; `*.example.com` for every name below; null: any. Without a port, which is not compared. */
  readonly host: string | null;
  /** Exact, or with a `*` at its end every path that begins so; null: any. Compared with the path without its query. */
  readonly path: string | null;
  /** null: any. */
  readonly methods: readonly string[] | null;
  /** Every one must be there; a value of null: whatever its value. Names in lower case. */
  readonly headers: readonly { readonly name: string; readonly value: string | null }[];
}

export interface RedirectPlan {
  /**
   * `{host}`, `{path}` (with query) and `{scheme}` stand for the request's; a URL without a path gets the request's path
   * and query.
   */
  readonly to: string;
  readonly status: 301 | 302 | 303 | 307 | 308;
}

export interface HeaderEditPlan {
  /** Replaces what is there. Names in lower case. */
  readonly set: readonly { readonly name: string; readonly value: string }[];
  readonly add: readonly { readonly name: string; readonly value: string }[];
  readonly remove: readonly string[];
}

export interface RewritePlan {
  /** Taken off the beginning of the path, if it is there (whole segments). */
  readonly stripPrefix: string;
  /** Put before what is left. */
  readonly addPrefix: string;
}

export interface RetryPlan {
  /** Further attempts after the first. */
  readonly attempts: number;
  /** Connects that fail are tried elsewhere. */
  readonly connect: boolean;
  /** Statuses that are tried elsewhere, for requests that are idempotent and whose body has not begun to be sent. */
  readonly statuses: readonly number[];
  /** For `statuses`: at most so many in a worker, of all requests of the route together; null: no limit. */
  readonly budget: RetryBudgetPlan | null;
}

export interface RetryBudgetPlan {
  /** Of the requests of the last RETRY_BUDGET.windowMs: 0 to 1. */
  readonly share: number;
  /** Each second, whatever the share is. */
  readonly minPerSecond: number;
}

export interface ForwardedPlan {
  /** X-Forwarded-For, -Proto, -Host, -Port, and X-Real-IP. */
  readonly xForwarded: boolean;
  /** RFC 7239. */
  readonly forwarded: boolean;
  readonly via: boolean;
  /** X-Request-Id, made if the client (or an untrusted one) sent none. */
  readonly requestId: boolean;
  /** The field that carries the client certificate's subject; null: none. What clients send by that name is removed. */
  readonly clientSubject: string | null;
}

export interface HttpGroupPlan extends GroupPlan {
  readonly targets: readonly HttpTargetPlan[];
}

export interface HttpTargetPlan extends SecureTargetPlan {
  readonly scheme: "http" | "https" | "h2" | "h2c" | "h3";
  /** For Host where the route asks for the target's own: `10.0.0.8:8080`, without the scheme's default port. */
  readonly authority: string;
}

export interface HttpLimitsPlan extends LimitsPlan {
  /** A head's bytes, fields and request line together; 431 beyond. */
  readonly headBytes: number;
  readonly headFields: number;
  /** A request's body; 413 beyond; 0: no limit. */
  readonly bodyBytes: number;
  /** Streams at once on one connection of HTTP/2 or HTTP/3. */
  readonly streams: number;
  /** Requests on one connection before it is closed; 0: no limit. */
  readonly requestsPerConnection: number;
  /** Bytes each second that a sender of a body, or a reader of an answer, must manage over any ten seconds; 0: no minimum. */
  readonly minBytesPerSecond: number;
}

export interface HttpTimeoutsPlan {
  readonly connectMs: number;
  /** With proxyProtocol.accept: for the header. */
  readonly proxyHeaderMs: number;
  readonly handshakeMs: number;
  /** From a request's first byte (of a connection: from its beginning) to the end of its head. */
  readonly headMs: number;
  /** Between two requests on one connection. */
  readonly keepaliveMs: number;
  /** From the request's end to the answer's head. 504 beyond. */
  readonly responseMs: number;
  /** No byte of an exchange or of an upgraded connection either way; 0: never. */
  readonly idleMs: number;
  /** An exchange as a whole; 0: never. Not for upgraded connections. */
  readonly totalMs: number;
  /** An idle connection to a backend is closed after this. */
  readonly backendKeepaliveMs: number;
  /** A connection is closed after this long, once it has no request; 0: never. */
  readonly lifetimeMs: number;
}
