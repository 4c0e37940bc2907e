// Listening sockets for those who live on the runtime and make no system calls of their own: opened as the engines of system
// calls open theirs, duplicated for a successor, and written to when somebody else reads from them. Called by src/gateway.ts
// and the engine bun.

import { DatagramSender, lostDatagrams } from "../ffi/datagrams.ts";
import { duplicate as duplicateAny } from "../ffi/duplicate.ts";
import { datagramAddress, listeningAddress } from "../ffi/inherited.ts";
import { gatherDatagrams, SegmentSender } from "../ffi/segments.ts";
import type { SocketAddress } from "../shared/address.ts";
import { ProxyError } from "../shared/errors.ts";
import type { BindRequest } from "../shared/messages.ts";
import { bindAll, type Bindings, isKept } from "./linux/binding.ts";
import { acceptBriefly } from "./linux/sockets.ts";

export { gatherDatagrams, isKept, lostDatagrams };

/** @returns null where the runtime must bind. @throws ProxyError ERR_LISTEN; nothing stays open. */
export function bind(request: BindRequest): Bindings | null {
  // Other options are set on what listens: the caller knows them.
  return process.platform === "linux" ? bindAll(request, acceptBriefly) : null;
}

/** @throws ProxyError ERR_LISTEN out of descriptors. */
export function duplicate(fd: number): number {
  const copy = duplicateAny(fd);
  if (copy < 0) throw new ProxyError("ERR_LISTEN", `descriptor ${fd} cannot be duplicated`);
  return copy;
}

/** Of a listening or UDP socket; both families at once is the empty host. @throws ProxyError ERR_LISTEN */
export function addressOf(fd: number): SocketAddress {
  const address = listeningAddress(fd) ?? datagramAddress(fd);
  if (address === null) throw new ProxyError("ERR_LISTEN", `descriptor ${fd} does not listen`);
  return address;
}

/** @param fd a UDP socket, the sender's own from here on. */
export function senderOf(fd: number): DatagramSender {
  const address = addressOf(fd);
  const isIPv6 = address.kind === "ip" && (address.host === "" || address.host.includes(":"));
  return new DatagramSender(fd, isIPv6);
}

/** @param fd a UDP socket, which stays its owner's. @returns null where the system cannot do it. */
export function segmentsOf(fd: number): SegmentSender | null {
  if (process.platform !== "linux" || fd < 0) return null;
  const address = addressOf(fd);
  const isIPv6 = address.kind === "ip" && (address.host === "" || address.host.includes(":"));
  return new SegmentSender(fd, isIPv6);
}
