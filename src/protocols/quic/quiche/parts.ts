// What a connection of quiche is made of, and what it tells whoever made it: an endpoint, or what connects.

import type { GatewayHost } from "../../host.ts";
import type { Peer } from "../../live-rows.ts";
import type { Watermarks, WireTls } from "../../wire/wire.ts";
import type { QuicError, QuicTransport } from "../transport.ts";
import type { Connection, HostPort } from "./binding.ts";
import type { QuicheConnection } from "./connection.ts";
import type { Loop } from "./loop.ts";

/** What the packets of one socket need of the worker. */
export type PacketHost = Pick<GatewayHost, "segmentsOf" | "gatherDatagrams">;

/** What an endpoint needs of the worker. */
export type EndpointHost = PacketHost & Pick<GatewayHost, "setBuffers">;

/** Who made it. */
export interface ConnectionOwner {
  /** Asked at each turn of the handshake. @returns what was agreed upon; null: it is not ready; an error: it must not go on. */
  agree(connection: QuicheConnection): WireTls | QuicError | null;
  /** It is open. Its handler must be set before this returns. */
  ready(connection: QuicheConnection): void;
  /** There is no handshake any more. */
  failed(connection: QuicheConnection, error: QuicError): void;
  /** Now and then while the connection is open, for ids and sessions. */
  turn(connection: QuicheConnection): void;
  /** Nothing of it is left. */
  gone(connection: QuicheConnection): void;
}

export interface ConnectionParts {
  readonly native: Connection;
  readonly loop: Loop;
  readonly owner: ConnectionOwner;
  readonly isServer: boolean;
  readonly remote: HostPort;
  /** The same. */
  readonly peer: Peer;
  readonly local: HostPort;
  readonly transport: QuicTransport;
  readonly watermarks: Watermarks;
  readonly nowMs: number;
}
