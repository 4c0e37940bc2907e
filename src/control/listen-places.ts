// Where listeners listen, as one place is to another. Pure. Called by listeners, and for the sockets that they inherit.

import type { SocketAddress } from "../shared/address.ts";
import type { ListenerPlan } from "../shared/plan.ts";

export function isOnSamePort(
  { listen: one }: ListenerPlan,
  { listen: other }: ListenerPlan,
): boolean {
  return one.kind === "tcp" && other.kind === "tcp" && one.port === other.port;
}

/** Whether a wildcard takes clients of another address too, where nobody listens at that one; the empty host is both families. */
export function covers(wide: SocketAddress, narrow: SocketAddress): boolean {
  if (wide.kind !== "ip" || narrow.kind !== "ip" || wide.port !== narrow.port) return false;
  if (wide.host === narrow.host) return false;
  const isV6 = narrow.host.includes(":");
  return { "": true, "0.0.0.0": !isV6 && narrow.host !== "", "::": isV6 }[wide.host] ?? false;
}
