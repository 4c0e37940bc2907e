// What the control plane and a worker say to each other. Plain data only: it is structured-cloned between threads.
// A worker that blocks in a system call is woken through `ready.wakeFd` and then reads its mailbox.

import type { SocketAddress } from "./address.ts";
import type { ListenerCertificates } from "./certificates.ts";
import type { ChallengeAnswer } from "./challenges.ts";
import type { ErrorRecord } from "./errors.ts";
import type { EngineChoice, EngineName, ListenerPlan, RelayPlan, RingPlan } from "./plan.ts";

/** What a worker is started with. */
export type WorkerInit = RelayInit | GatewayInit;

/** Relay workers have an engine, which may block; gateway workers live on their event loop. */
export type WorkerKind = WorkerInit["kind"];

interface CommonInit {
  /** Over workers of both kinds. */
  readonly index: number;
  /** One Int32, 1: nobody waits for this worker any more, and descriptors that it is told of may be somebody else's by now. */
  readonly givenUp: SharedArrayBuffer;
  /** Layout in strain.ts: one for all threads. */
  readonly strain: SharedArrayBuffer;
  /** Emits `connection` events for every connection that opens or closes; costs a message each. */
  readonly traceConnections: boolean;
}

export interface RelayInit extends CommonInit {
  readonly kind: "relay";
  readonly engine: EngineChoice;
  readonly ring: RingPlan;
  /** Layout in load.ts: one for all relay workers. */
  readonly load: SharedArrayBuffer;
}

export interface GatewayInit extends CommonInit {
  readonly kind: "gateway";
  /** The file for keys of QUIC connections; null: they are nobody's business. */
  readonly keyLogPath: string | null;
}

/** What the engines take. */
export type RelayRequest = OpenRequest<RelayPlan>;

/** Where and how one worker opens a listener. */
export interface OpenRequest<P extends ListenerPlan = ListenerPlan> {
  readonly listener: P;
  /** Names the listener in commands, events and the table of live connections. Never reused while the proxy runs. */
  readonly slot: number;
  /** What to bind, in order; more than one when a host name has several addresses. */
  readonly binds: readonly SocketAddress[];
  /** May be empty: nothing resolved yet. */
  readonly targets: readonly TargetSlot[];
  /** Addresses of the plan's mirror; empty without one, or if it has not resolved yet. */
  readonly mirror: readonly SocketAddress[];
  /** Slots are below this. */
  readonly targetSlots: number;
  /** Layout in counters.ts. One for each worker and listener. */
  readonly counters: SharedArrayBuffer;
  /** Connections open at this moment over all workers: one Int32, changed atomically. */
  readonly active: SharedArrayBuffer;
  /** For limits.maxPerIp, layout in l4/client-counts.ts; null without it. */
  readonly clients: SharedArrayBuffer | null;
  /** For limits.acceptRate, one bucket of l4/token-buckets.ts; null without it. */
  readonly accepts: SharedArrayBuffer | null;
  /** For limits.bytesPerSecond, one bucket of l4/token-buckets.ts; null without it. */
  readonly bandwidth: SharedArrayBuffer | null;
  /** What TLS is spoken with; null where the plan has none. */
  readonly certificates: ListenerCertificates | null;
  /** Several workers bind the same address (SO_REUSEPORT). */
  readonly reusePort: boolean;
  /** This is the first worker to bind: it makes sure that no other process holds the address. */
  readonly exclusive: boolean;
  /**
   * Sockets of whoever is replaced have the port, on a wider or narrower address, and share it: what is not inherited is bound
   * with SO_REUSEPORT, and not made sure of.
   */
  readonly beside: boolean;
  /** This worker has what the listener speaks over QUIC: whose connections stay with one socket and one thread. */
  readonly endpoint: boolean;
  /**
   * Listening descriptors to accept from instead of binding: unix sockets, which cannot be bound twice. They are the control
   * plane's own, see `opened.fds`; a worker duplicates them and closes none.
   */
  readonly sharedFds: readonly number[];
  /**
   * For each of `binds`: listening descriptors that this process was started with, to accept from instead of binding.
   * The engine duplicates them. Missing or empty: bind.
   */
  readonly inherited: readonly (readonly number[])[];
  /** What is inherited cannot be bound a second time: `opened` returns all of it, for `sharedFds` of the other workers. */
  readonly keep: boolean;
  /** Accepts nobody until asked to (`accept`): clients wait in the kernel's queue. */
  readonly quiet: boolean;
  /**
   * Who serves clients until then: listeners of this process, by their slots, or another process. Sockets of QUIC have one
   * reader: they are taken over from the former, and bound when the latter has let go of them.
   */
  readonly replaces: readonly number[] | "process";
}

/** The part of a request that is about listening sockets. */
export type BindRequest = Pick<
  OpenRequest,
  | "binds"
  | "reusePort"
  | "exclusive"
  | "beside"
  | "endpoint"
  | "sharedFds"
  | "inherited"
  | "keep"
  | "quiet"
  | "replaces"
> & { readonly listener: Pick<ListenerPlan, "listen"> };

/**
 * What the operator wants of a target. draining: nothing new goes there, not even as a last resort, and what is under way goes
 * on; disabled: what is under way is reset, too.
 */
export const TARGET_MODES = ["enabled", "draining", "disabled"] as const;
export type TargetMode = (typeof TARGET_MODES)[number];

/** One address of one target. */
export interface TargetSlot {
  /** Its place in counters, as long as the address stays. */
  readonly slot: number;
  /** Index of its group in the plan. */
  readonly group: number;
  /** Index of its target in the group's plan, of which it may be one of several addresses. */
  readonly index: number;
  readonly address: SocketAddress;
  /** Tells it from the others in logs and statistics: the address, with the name that it came from. */
  readonly name: string;
  /** 0: nobody new while another target can be had. */
  readonly weight: number;
  readonly backup: boolean;
  /** false: probes found it down. */
  readonly up: boolean;
  readonly mode: TargetMode;
  /** When it came to a listener that had others before (shared/clock.ts); 0: it was there from the start. */
  readonly addedMs: number;
}

/** A listening descriptor. */
export interface ListeningSocket {
  /** ListenerPlan.key. */
  readonly key: string;
  readonly fd: number;
}

/** What every worker can be asked at any time, and answers at once; silence is a worker that hangs. */
export type Question =
  /** Nothing: to see that it answers. */
  | "alive"
  /** To accept on listeners that were opened quietly. */
  | "accept"
  /** For duplicates of all its listening sockets, which are the asker's to close. */
  | "sockets";

/** Listeners are named by OpenRequest.slot: one that was replaced has its successor's key while its connections go on. */
export type Command<P extends ListenerPlan = ListenerPlan> =
  | { readonly type: "open"; readonly request: OpenRequest<P> }
  /** New addresses, news of probes, or an operator's wish: for new connections, and for those of targets that are disabled. */
  | { readonly type: "targets"; readonly slot: number; readonly targets: readonly TargetSlot[] }
  /** New addresses of the mirror: for new connections. */
  | {
      readonly type: "mirror";
      readonly slot: number;
      readonly addresses: readonly SocketAddress[];
    }
  /** Files have changed: for new handshakes. */
  | {
      readonly type: "certificates";
      readonly slot: number;
      readonly certificates: ListenerCertificates;
    }
  /** All that is pending, in place of what was: to gateway workers, for whoever asks on any of their listeners. */
  | { readonly type: "challenges"; readonly answers: readonly ChallengeAnswer[] }
  /** To `certificate_wanted`: no listener gets one. */
  | { readonly type: "certificate_denied"; readonly name: string }
  /** Stops accepting; connections go on. */
  | { readonly type: "close"; readonly slot: number }
  /** Of a listener that was closed, to `over`: nothing names it any more, and what was kept for its connections goes. */
  | { readonly type: "forget"; readonly slot: number }
  /** Relays between two connected stream sockets of this process. The engine duplicates both descriptors. */
  | { readonly type: "adopt"; readonly id: number; readonly request: AdoptRequest }
  /** Ends the connection in this row if it still is the one named (see LiveConnection.id). */
  | { readonly type: "disconnect"; readonly id: number }
  | { readonly type: "ask"; readonly id: number; readonly question: Question }
  /**
   * Somebody else takes clients from the sockets of these listeners: another process, or the listeners that replace them. A
   * relay worker needs not be told.
   */
  | { readonly type: "hand_on"; readonly slots: readonly number[] }
  /** From now on `connection` events are emitted, or are not (CommonInit.traceConnections). */
  | { readonly type: "trace"; readonly on: boolean }
  /** Memory is short: what is garbage is to go now. */
  | { readonly type: "collect" }
  /** Closes every listener; `drained` follows when the last connection ends. */
  | { readonly type: "drain" }
  /** A client that another worker accepted on this listener; `took` is the answer. */
  | { readonly type: "take"; readonly id: number; readonly slot: number; readonly fd: number }
  /** Resets what is left and ends the worker. */
  | { readonly type: "end" };

export interface AdoptRequest {
  readonly fds: readonly [number, number];
  readonly idleMs: number;
  readonly copyBytes: number;
  readonly highWatermarkBytes: number;
  readonly lowWatermarkBytes: number;
}

/** Why a client was turned away. The order is the layout of counters.ts. */
export const REFUSALS = [
  "max_connections", // limits.max_connections is reached
  "table_full", // the process holds as many connections as its descriptors allow
  "descriptors", // EMFILE or ENFILE while opening the target's socket; in gateways also no memory or port for it
  "no_address", // the target's name has never resolved
  "target_down", // no address of the target accepted
  "connect_timeout", // the target did not answer in time
  "denied", // the client's address is in deny, or not in allow
  "accept_rate", // limits.accept_rate is reached
  "max_per_ip", // the client's address has limits.max_per_ip connections
  "proxy_untrusted", // a PROXY header is asked for, and who connects is not in trusted
  "proxy_header", // it did not begin with a PROXY header that is asked for
  "proxy_timeout", // the PROXY header did not come in time
  "client_hello", // it began as TLS and broke its rules
  "hello_timeout", // the first TLS message did not come in time
  "no_route", // no route fits what it asked for: 404, 405, 421 of HTTP
  "tls_handshake", // no TLS was agreed upon: the client does not speak it, refused our certificate, or has none that is asked for
  "http_malformed", // what it sent is no HTTP, or ambiguous: 400
  "http_head_too_large", // a head beyond limits.max_head or limits.max_head_fields: 431
  "http_body_too_large", // a body beyond limits.max_body: 413
  "http_head_timeout", // a head did not come in time: 408
  "http_slow", // a body was sent, or an answer read, more slowly than limits.min_rate
  "http_queue", // every connection to the target is taken, and so is the queue for them: 503
  "http_backend", // the target went away or broke the rules before its answer was whole: 502, or the answer is cut off
  "http_backend_timeout", // the target did not answer, or nothing moved, in time: 504, or the answer is cut off
  "http2_rapid_reset", // more streams were cancelled than a client has reason to
  "http2_flood", // more PING, SETTINGS, CONTINUATION, empty or other frames than a client has reason to send
  "http2_header_bomb", // fields that are many times what was sent for them
  "http3_rapid_reset", // more streams were cancelled than a client has reason to
  "quic_token", // a client over QUIC showed no token, or another one than the listener asks for
  "overload", // the process or its worker is overloaded, and this was new work: 503
  "quic_target", // the QUIC connection to a target broke off, and with it the clients on it
  "circuit_open", // every target that is left has failed too often (circuit_breaker): 503
] as const;
export type Refusal = (typeof REFUSALS)[number];

/** Why a datagram of a session was not passed on. The order is the layout of counters.ts. */
export const DROPS = [
  "queue_full", // the system's send buffer is full, and so is what may wait for it
  "too_large", // EMSGSIZE: larger than the way to the peer takes
  "send_failed", // any other error of sending
  "receive_full", // it came while the receive buffer of a socket was full: the kernel dropped it, and says how many there were
] as const;
export type Drop = (typeof DROPS)[number];

export type WorkerEvent =
  | {
      readonly type: "ready";
      readonly engine: EngineName;
      /** Why `auto` did not take a faster engine; empty if it took the fastest. */
      readonly reason: string;
      /** An eventfd to write 8 bytes to after posting a command; -1 when the worker runs an event loop. */
      readonly wakeFd: number;
      /** Layout in live-table.ts. */
      readonly live: SharedArrayBuffer;
    }
  /** No engine can run as asked; the worker ends. */
  | { readonly type: "start_failed"; readonly error: ErrorRecord }
  | {
      readonly type: "opened";
      readonly slot: number;
      readonly bound: readonly SocketAddress[];
      /**
       * Duplicates of the listening descriptors, for `sharedFds` of other workers. They belong to the control plane, which closes
       * them: they outlive the worker. Empty where descriptors cannot be shared.
       */
      readonly fds: readonly number[];
    }
  | { readonly type: "open_failed"; readonly slot: number; readonly error: ErrorRecord }
  /** A setting that this platform, system or engine cannot honour. Each worker finds it; the proxy says it once. */
  | { readonly type: "warning"; readonly key: string; readonly message: string }
  /** Clients turned away since the last such event for this listener and reason: at most one a second. */
  | {
      readonly type: "refused";
      readonly key: string;
      readonly reason: Refusal;
      readonly count: number;
      /** Of the newest: the target and the system's error, or the client and what is wrong with it. May be empty. */
      readonly detail: string;
    }
  /** A target was left out, or is back, as this worker sees it. */
  | {
      readonly type: "target";
      readonly key: string;
      readonly target: string;
      readonly from: string;
      readonly to: string;
      /** How long it is left out; 0 where that is not known. */
      readonly forMs: number;
    }
  /** A handshake waits for a certificate of this name (TlsServerPlan.onDemand): the certificate or its denial follows. */
  | { readonly type: "certificate_wanted"; readonly key: string; readonly name: string }
  /** Every target that a client could go to is held for down, so all are tried: at most one a second. */
  | { readonly type: "last_resort"; readonly key: string }
  /** EMFILE or ENFILE on accept: the listener rests for `pauseMs`. At most one a second. */
  | {
      readonly type: "accept_paused";
      readonly key: string;
      readonly errno: string;
      readonly pauseMs: number;
    }
  /** Whole lines of a listener's access log. */
  | {
      readonly type: "access_log";
      readonly key: string;
      readonly bytes: Uint8Array;
      readonly lines: number;
    }
  /** Only with `traceConnections`. */
  | {
      readonly type: "connection";
      readonly key: string;
      /** As in the table of live connections: joins the two lines of a connection. */
      readonly id: number;
      readonly phase: "open" | "close";
      readonly client: string;
      readonly target: string;
      /** Since it was accepted. */
      readonly durationMs: number;
      readonly bytesUp: number;
      readonly bytesDown: number;
      /** For close: `end` (both sides finished), `reset`, `idle`, `lifetime`, or an errno's name. */
      readonly reason: string;
    }
  | {
      readonly type: "adopted";
      readonly id: number;
      /** Its id in the table of live connections; -1 with an error. */
      readonly connection: number;
      readonly error: ErrorRecord | null;
    }
  | {
      readonly type: "pair_closed";
      readonly id: number;
      readonly bytesUp: number;
      readonly bytesDown: number;
      /** null: both sides finished; otherwise why the pair was reset. */
      readonly error: ErrorRecord | null;
    }
  /** This worker has too many connections: another is to take this client, a descriptor that is not its own any more. */
  | { readonly type: "hand_over"; readonly slot: number; readonly fd: number }
  | { readonly type: "took"; readonly id: number }
  /** To a question; `sockets` for that one only. */
  | { readonly type: "answer"; readonly id: number; readonly sockets: readonly ListeningSocket[] }
  /** A listener that was closed has no connection here any more, unless one is handed over to it after all. */
  | { readonly type: "over"; readonly slot: number }
  | { readonly type: "drained" }
  /** The last event of a worker. `connections` were still open and were reset. */
  | { readonly type: "ended"; readonly connections: number };
