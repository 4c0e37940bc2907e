// What the runtime's sockets of datagrams do not do: to send without reading, for listeners whose sockets another process serves
// already, and to say how many datagrams were lost. Linux only. Called by gateway workers.

import { isIP } from "node:net";

import { EAGAIN, errnoName } from "./errno.ts";
import { errno, libc } from "./libc.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL, SO_MEMINFO, SOL_SOCKET } from "./linux.ts";
import { addressOf, pinnedBytes, pinnedInt32 } from "./memory.ts";
import { encodeSockaddr } from "./sockaddr.ts";

/** The largest datagram of IPv6 without jumbograms. */
const SCRATCH_BYTES = 65_535;
const scratch = pinnedBytes(SCRATCH_BYTES);

/** Of SO_MEMINFO (sock_diag(7), SK_MEMINFO_DROPS). */
const DROPS_WORD = 8;
const memory = pinnedInt32(DROPS_WORD + 1);
const memoryBytes = pinnedInt32(1);

/** How many datagrams have not fitted into a socket's receive buffer since it was made; 0 where that is not known. */
export function lostDatagrams(fd: number): number {
  if (process.platform !== "linux") return 0;
  memoryBytes[0] = memory.byteLength;
  const [into, length] = [addressOf(memory), addressOf(memoryBytes)];
  const known = libc.getsockopt(fd, SOL_SOCKET, SO_MEMINFO, into, length) === 0;
  return known && memoryBytes[0] === memory.byteLength ? memory[DROPS_WORD]! >>> 0 : 0;
}

export class DatagramSender {
  readonly #fd: number;
  readonly #isIPv6: boolean;

  /** @param fd a bound socket, which is its own from here on. @param isIPv6 of the socket, which may serve IPv4 too. */
  constructor(fd: number, isIPv6: boolean) {
    this.#fd = fd;
    this.#isIPv6 = isIPv6;
  }

  /**
   * sendto(2) for each: data, port and address in turn. @returns how many the system took. @throws what is wrong with the
   * first.
   */
  sendMany(packets: readonly unknown[]): number {
    for (let i = 0; i < packets.length; i += 3) {
      const [data, port, host] = packets.slice(i, i + 3) as [Uint8Array, number, string];
      const error = this.#send(data, port, host);
      if (error === 0) continue;
      if (error === EAGAIN || i > 0) return i / 3;
      throw Object.assign(new Error(errnoName(error)), { code: errnoName(error) });
    }
    return packets.length / 3;
  }

  /** @returns an error number; 0: it is sent. */
  #send(data: Uint8Array, port: number, host: string): number {
    const mapped = this.#isIPv6 && isIP(host) === 4 ? `::ffff:${host}` : host;
    const to = encodeSockaddr({ kind: "ip", host: mapped, port });
    scratch.set(data);
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const address = addressOf(to.bytes);
    const sent = libc.sendto(
      this.#fd,
      addressOf(scratch),
      data.byteLength,
      flags,
      address,
      to.bytes.length,
    );
    return sent < 0 ? errno() : 0;
  }

  close(): void {
    libc.close(this.#fd);
  }
}
