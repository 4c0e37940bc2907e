// The sockets that a listener of HTTP accepts on: in clear or TLS. Called by listener.ts.

import type { SocketAddress } from "../../shared/address.ts";
import type { HttpPlan } from "../../shared/http-plan.ts";
import type { WireListenOptions, WireServer } from "../wire/open.ts";
import { listenPlain } from "../wire/plain.ts";
import type { ServerTls } from "../wire/tls-context.ts";
import { listenTls } from "../wire/tls.ts";

export type Accepting<Ticket> = Omit<
  WireListenOptions<Ticket>,
  "address" | "socket" | "watermarks"
>;

/**
 * @param tls null: in clear.
 * @throws ProxyError ERR_LISTEN; nothing stays bound.
 */
export function listenAll<Ticket>(
  { socket, buffers, timeouts }: HttpPlan,
  binds: readonly SocketAddress[],
  tls: ServerTls | null,
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
      // Every message of HTTP has an end of its own, so that a cut needs no telling.
      const server =
        tls === null
          ? listenPlain(options)
          : listenTls({ ...options, tls, handshakeMs, tellTruncation: false });
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
