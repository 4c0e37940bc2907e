// The sockets that a listener of streams accepts on, one for each address: in clear or TLS. Called by the listeners of tls and
// http.

import type { SocketAddress } from "../shared/address.ts";
import type { BuffersPlan, SocketPlan } from "../shared/plan.ts";
import type { WireListenOptions, WireServer } from "./wire/open.ts";
import { listenPlain } from "./wire/plain.ts";
import type { ServerTls } from "./wire/tls-context.ts";
import { listenTls, type TlsListenOptions } from "./wire/tls.ts";

export type Accepting<Ticket> = Omit<
  WireListenOptions<Ticket>,
  "address" | "socket" | "watermarks"
>;

/** What it needs of a plan. */
export interface SocketsPlan {
  readonly socket: SocketPlan;
  readonly buffers: BuffersPlan;
  readonly timeouts: { readonly handshakeMs: number };
}

export interface Encryption extends Pick<TlsListenOptions<never>, "tellTruncation"> {
  readonly tls: ServerTls;
}

/**
 * @param encryption null: in clear.
 * @throws ProxyError ERR_LISTEN; nothing stays bound.
 */
export function listenAll<Ticket>(
  { socket, buffers, timeouts }: SocketsPlan,
  binds: readonly SocketAddress[],
  encryption: Encryption | null,
  accepting: Accepting<Ticket>,
): WireServer[] {
  const { highWatermarkBytes: highBytes, lowWatermarkBytes: lowBytes } = buffers;
  const common = { ...accepting, socket, watermarks: { highBytes, lowBytes } };
  const { handshakeMs } = timeouts;
  const servers: WireServer[] = [];
  try {
    for (const bind of binds) {
      const address = servers.length === 0 ? bind : withPortOf(bind, servers[0]!.address);
      const options = { ...common, address };
      const server =
        encryption === null
          ? listenPlain(options)
          : listenTls({ ...options, ...encryption, handshakeMs });
      servers.push(server);
    }
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
  return servers;
}

/** A name that has several addresses has one port. */
function withPortOf(address: SocketAddress, first: SocketAddress): SocketAddress {
  return address.kind === "ip" && first.kind === "ip" ? { ...address, port: first.port } : address;
}
