// The plan of what goes over QUIC: part of plan.ts, in a file of its own. Plain frozen data with every default filled in.

import type { Endpoint } from "./address.ts";
import type { StreamGroupPlan, TlsServerPlan } from "./http-plan.ts";
import type { AccessPlan, BuffersPlan, LimitsPlan, SocketPlan, TimeoutsPlan } from "./plan.ts";

/** Who implements QUIC; `auto`: the faster of those that run here. */
export type QuicDriverChoice = "auto" | "quiche" | "bun";

/** A listener over QUIC. Every bidirectional stream of a client becomes a connection to a target. */
export interface QuicPlan {
  /** As RelayPlan.key: `quic :4433`. */
  readonly key: string;
  readonly protocol: "quic";
  /** Never a unix socket. */
  readonly listen: Endpoint;
  /** With `alpn`: a client that offers none of them is refused. */
  readonly tls: TlsServerPlan;
  /** One. */
  readonly groups: readonly StreamGroupPlan[];
  readonly access: AccessPlan;
  /** QUIC connections are what is counted; connectionBytesPerSecond is of each stream. */
  readonly limits: LimitsPlan;
  /** idleMs and lifetimeMs are of a stream, connectMs of its way to the target. */
  readonly timeouts: Pick<TimeoutsPlan, "connectMs" | "idleMs" | "lifetimeMs"> & {
    readonly handshakeMs: number;
  };
  /** Buffers of the UDP socket; everything else is of targets. */
  readonly socket: SocketPlan;
  readonly buffers: BuffersPlan;
  readonly quic: QuicServerPlan;
}

/** What both sides of a connection have. */
export interface QuicTransportPlan {
  readonly driver: QuicDriverChoice;
  /** A PING after so long without a packet; 0: none. */
  readonly keepAliveMs: number;
  /** Without a packet for so long a connection is gone (max_idle_timeout). */
  readonly idleMs: number;
  /** The file of the token that clients show; null: there is none. */
  readonly tokenFile: string | null;
}

export interface QuicServerPlan extends QuicTransportPlan {
  /** Of a client, at once on one connection. */
  readonly streams: number;
  /** Streams of resumed clients before their handshake is over; they can be replayed. */
  readonly earlyData: boolean;
}

/** Towards a target. */
export interface QuicClientPlan extends QuicTransportPlan {
  /** What is offered, in order of preference. */
  readonly alpn: readonly string[];
}
