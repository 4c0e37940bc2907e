// What the kernel says of the sockets of this process: their addresses and options, read through their descriptors (Linux).
// Worker threads share the descriptors of their process, so a relay in this process can be looked at from a test.
import { ptr } from "bun:ffi";
import { readdirSync, readlinkSync } from "node:fs";

import { libc } from "../../src/ffi/libc.ts";
import { decodeSockaddr, SOCKADDR_MAX_BYTES } from "../../src/ffi/sockaddr.ts";

const SOL_SOCKET = 1;
const IPPROTO_TCP = 6;
/** tcp(7), socket(7) */
const OPTIONS = {
  nodelay: [IPPROTO_TCP, 1],
  keepalive: [SOL_SOCKET, 9],
  keepIdle: [IPPROTO_TCP, 4],
  keepInterval: [IPPROTO_TCP, 5],
  sendBuffer: [SOL_SOCKET, 7],
  receiveBuffer: [SOL_SOCKET, 8],
  notsentLowat: [IPPROTO_TCP, 25],
  fastopen: [IPPROTO_TCP, 23],
  fastopenConnect: [IPPROTO_TCP, 30],
} as const;
export type OptionName = keyof typeof OPTIONS;

export function optionOf(fd: number, name: OptionName): number {
  const [level, option] = OPTIONS[name];
  const value = new Int32Array(1);
  const length = new Uint32Array([4]);
  if (libc.getsockopt(fd, level, option, ptr(value), ptr(length)) < 0) {
    throw new Error(`getsockopt ${name}`);
  }
  return value[0]!;
}

/** Local and remote port of a TCP socket; 0 where there is none. */
function portsOf(fd: number): { local: number; remote: number } {
  const read = (call: "getsockname" | "getpeername"): number => {
    const bytes = new Uint8Array(SOCKADDR_MAX_BYTES);
    const length = new Uint32Array([bytes.length]);
    if (libc[call](fd, ptr(bytes), ptr(length)) < 0) return 0;
    const address = decodeSockaddr(bytes, length[0]!);
    return address.kind === "ip" ? address.port : 0;
  };
  return { local: read("getsockname"), remote: read("getpeername") };
}

/** Descriptors of this process whose sockets have these ports; a remote port of 0 means a listener. */
export function findSockets(fits: (ports: { local: number; remote: number }) => boolean): number[] {
  return readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:") && fits(portsOf(fd));
      } catch {
        return false; // closed between the two calls
      }
    });
}

/** TCP_FASTOPEN on a listener, as a server that supports it sets it. */
export function enableFastOpen(listener: number): void {
  const queue = new Int32Array([16]);
  const [level, option] = OPTIONS.fastopen;
  if (libc.setsockopt(listener, level, option, ptr(queue), 4) < 0) throw new Error("setsockopt");
}
