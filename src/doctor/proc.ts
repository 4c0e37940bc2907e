// What Linux writes into /proc, as far as `doctor` reads it. Pure: texts in, values out. Called by read-machine.ts.

import { formatIp } from "../shared/ip.ts";
import type { Transport } from "../shared/transports.ts";

export interface SocketLine {
  readonly host: string;
  readonly port: number;
  readonly inode: string;
}

const TCP_LISTEN = "0A";
/** Of UDP: bound, and connected to nobody. */
const UDP_UNCONNECTED = "07";

/**
 * /proc/net/tcp, tcp6, udp and udp6 (proc_net(5)): sockets that wait for anybody.
 *
 *   sl  local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
 */
export function parseSockets(text: string, transport: Transport): SocketLine[] {
  const wanted = transport === "tcp" ? TCP_LISTEN : UDP_UNCONNECTED;
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      const [address = "", port = ""] = local.split(":");
      if (state !== wanted || !/^([0-9A-F]{8}|[0-9A-F]{32})$/.test(address)) return [];
      return [{ host: parseAddress(address), port: Number.parseInt(port, 16), inode }];
    });
}

/** Words of 32 bits, each in the machine's order: the least significant byte first wherever this runs. */
function parseAddress(hex: string): string {
  const words = hex.match(/.{8}/g)!.map((word) => Buffer.from(word, "hex").toReversed());
  const bytes = Buffer.concat(words);
  const mapped = bytes.length === 4 ? [Buffer.alloc(10), Buffer.from([255, 255]), bytes] : [bytes];
  return formatIp(new Uint8Array(Buffer.concat(mapped)));
}

const CAP_NET_BIND_SERVICE = 10n;

/** @param status /proc/PID/status. @returns whether it may bind low ports (capabilities(7)). */
export function mayBindLowPorts(status: string): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return ((BigInt(`0x${effective}`) >> CAP_NET_BIND_SERVICE) & 1n) === 1n;
}

/** @param limits /proc/PID/limits. @returns the hard limit of descriptors; null: there is none in it. */
export function parseDescriptorLimit(limits: string): number | null {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1];
  if (hard === undefined) return null;
  return hard === "unlimited" ? Infinity : Number(hard);
}
