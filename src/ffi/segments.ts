// Many datagrams of one size in one system call: the kernel cuts what it gets into segments (UDP_SEGMENT, udp(7)), as a network
// card does for TCP. Linux 4.18 and later. And the other way, for whoever finds out by himself where each begins (UDP_GRO, Linux
// 5.0). Called by gateway workers, for QUIC.
//
//   struct msghdr   name(8) namelen(4) pad(4) iov(8) iovlen(8) control(8) controllen(8) flags(4) pad(4)
//   struct iovec    base(8) len(8)
//   struct cmsghdr  len(8) level(4) type(4) data(2) pad(6)

import { isIP } from "node:net";

import { EAGAIN } from "./errno.ts";
import { errno, libc } from "./libc.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL, SOL_UDP, UDP_GRO, UDP_SEGMENT } from "./linux.ts";
import { addressOf, pinnedBytes, pinnedInt32 } from "./memory.ts";
import { encodeSockaddr, type Sockaddr } from "./sockaddr.ts";

/** The most that a datagram of IPv4 carries: the kernel makes one of all segments before it cuts it. */
const BUFFER_BYTES = 65_507;
/** UDP_MAX_SEGMENTS in the kernel, before Linux 6.9. */
const SEGMENTS_MAX = 64;
const CMSG_BYTES = 24;
const CMSG_LENGTH = 18;
/** Addresses that were sent to lately: connections take turns. */
const ADDRESSES_MAX = 1_024;

const buffer = pinnedBytes(BUFFER_BYTES);
const message = pinnedBytes(56);
const vector = pinnedBytes(16);
const control = pinnedBytes(CMSG_BYTES);
const messageView = new DataView(message.buffer);
const vectorView = new DataView(vector.buffer);
const controlView = new DataView(control.buffer);
const enabled = pinnedInt32(1);
let prepared = false;

/** What does not change from call to call. */
function prepare(): void {
  if (prepared) return;
  prepared = true;
  vectorView.setBigUint64(0, BigInt(addressOf(buffer)), true);
  messageView.setBigUint64(16, BigInt(addressOf(vector)), true);
  messageView.setBigUint64(24, 1n, true);
  messageView.setBigUint64(32, BigInt(addressOf(control)), true);
  messageView.setBigUint64(40, BigInt(CMSG_BYTES), true);
  controlView.setBigUint64(0, BigInt(CMSG_LENGTH), true);
  controlView.setInt32(8, SOL_UDP, true);
  controlView.setInt32(12, UDP_SEGMENT, true);
}

/** From here on datagrams of one sender may come as one. @param fd a UDP socket. @returns false: the system does not do it. */
export function gatherDatagrams(fd: number): boolean {
  if (process.platform !== "linux") return false;
  enabled[0] = 1;
  return libc.setsockopt(fd, SOL_UDP, UDP_GRO, addressOf(enabled), enabled.byteLength) === 0;
}

export class SegmentSender {
  /** One for all sockets of the thread: it is filled and sent within a turn. */
  readonly buffer = buffer;
  readonly segmentsMax = SEGMENTS_MAX;
  readonly #fd: number;
  readonly #isIPv6: boolean;
  readonly #addresses = new Map<string, Sockaddr>();
  /** The kernel, or the card below, does not do it. */
  #refused = false;

  /** @param fd stays its owner's. @param isIPv6 of the socket, which may serve IPv4 too. */
  constructor(fd: number, isIPv6: boolean) {
    this.#fd = fd;
    this.#isIPv6 = isIPv6;
    prepare();
  }

  /** @param to null: the socket is connected. @returns whether it was sent. */
  send(bytes: number, segmentBytes: number, to: { host: string; port: number } | null): boolean {
    if (this.#refused) return false;
    vectorView.setUint32(8, bytes, true);
    controlView.setUint16(16, segmentBytes, true);
    const address = to === null ? null : this.#addressOf(to.host, to.port);
    messageView.setBigUint64(0, address === null ? 0n : BigInt(addressOf(address.bytes)), true);
    messageView.setUint32(8, address === null ? 0 : address.bytes.length, true);
    // An ICMP error of an earlier packet is told in place of the first call.
    for (let attempt = 0; attempt < 2; attempt++) {
      const sent = libc.sendmsg(this.#fd, addressOf(message), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent >= 0) return true;
      const error = errno();
      if (error === EAGAIN) return false;
      this.#refused = REFUSALS.has(error);
      if (this.#refused) return false;
    }
    return false;
  }

  #addressOf(host: string, port: number): Sockaddr {
    const key = `${host} ${port}`;
    let address = this.#addresses.get(key);
    if (address !== undefined) return address;
    if (this.#addresses.size >= ADDRESSES_MAX) this.#addresses.clear();
    const mapped = this.#isIPv6 && isIP(host) === 4 ? `::ffff:${host}` : host;
    address = encodeSockaddr({ kind: "ip", host: mapped, port });
    this.#addresses.set(key, address);
    return address;
  }
}

/** EIO: the card cannot sum up segments. EINVAL, ENOPROTOOPT, EOPNOTSUPP: the kernel does not know it. */
const REFUSALS: ReadonlySet<number> = new Set([5, 22, 92, 95]);
