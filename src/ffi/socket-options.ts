// Socket options that a plan asks for, set on a descriptor of any engine or of a library user. Constants differ between
// Linux and macOS (tcp(7), tcp(4)); what a platform lacks or its settings cut comes back as a warning, never silently.

import { dlopen, ptr } from "bun:ffi";
import { readFileSync } from "node:fs";

import type { SocketPlan } from "../shared/plan.ts";
import { libc } from "./libc.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM } from "./linux.ts";
import { pinnedInt32 } from "./memory.ts";

interface OptionNumbers {
  readonly SOL_SOCKET: number;
  readonly SO_KEEPALIVE: number;
  readonly SO_SNDBUF: number;
  readonly SO_RCVBUF: number;
  readonly TCP_NODELAY: number;
  readonly TCP_KEEPIDLE: number;
  readonly TCP_KEEPINTVL: number | null;
  readonly TCP_NOTSENT_LOWAT: number;
  readonly TCP_QUICKACK: number | null;
  /** On a listener: the length of the queue of pending Fast Open requests. */
  readonly TCP_FASTOPEN: number | null;
  readonly TCP_FASTOPEN_CONNECT: number | null;
}

const IPPROTO_TCP = 6;
const NUMBERS: Readonly<Partial<Record<NodeJS.Platform, OptionNumbers>>> = {
  linux: {
    SOL_SOCKET: 1,
    SO_KEEPALIVE: 9,
    SO_SNDBUF: 7,
    SO_RCVBUF: 8,
    TCP_NODELAY: 1,
    TCP_KEEPIDLE: 4,
    TCP_KEEPINTVL: 5,
    TCP_NOTSENT_LOWAT: 25,
    TCP_QUICKACK: 12,
    TCP_FASTOPEN: 23,
    TCP_FASTOPEN_CONNECT: 30,
  },
  darwin: {
    SOL_SOCKET: 0xffff,
    SO_KEEPALIVE: 0x0008,
    SO_SNDBUF: 0x1001,
    SO_RCVBUF: 0x1002,
    TCP_NODELAY: 0x01,
    TCP_KEEPIDLE: 0x10, // TCP_KEEPALIVE
    TCP_KEEPINTVL: 0x101,
    TCP_NOTSENT_LOWAT: 0x201,
    TCP_QUICKACK: null,
    TCP_FASTOPEN: null, // macOS has Fast Open through connectx(2) only
    TCP_FASTOPEN_CONNECT: null,
  },
};

/** Where the socket stands: Fast Open and listeners' inheritance differ. */
export type SocketRole = "listener" | "accepted" | "target";

type SetInteger = (fd: number, level: number, option: number, value: number) => number;

const value = pinnedInt32(1);
const valueAddress = ptr(value);
const length = pinnedInt32(1);
const lengthAddress = ptr(length);

function setter(): SetInteger {
  if (process.platform === "linux") {
    return (fd, level, option, number) => {
      value[0] = number;
      return libc.setsockopt(fd, level, option, valueAddress, 4);
    };
  }
  // int setsockopt(int socket, int level, int option_name, const void *option_value, socklen_t option_len)
  const { symbols } = dlopen("libSystem.B.dylib", {
    setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  });
  return (fd, level, option, number) => {
    value[0] = number;
    return symbols.setsockopt(fd, level, option, valueAddress, 4);
  };
}

let setInteger: SetInteger | null = null;

/** Length of the queue of Fast Open requests on a listener; the kernel bounds it by somaxconn. */
const FASTOPEN_QUEUE = 256;

/** One setsockopt call that a plan asks for. */
export interface OptionCall {
  /** The configuration's key, for messages. */
  readonly label: string;
  readonly level: number;
  readonly option: number;
  readonly value: number;
}

/** What `options` means on this platform: the calls to make on each socket, and a sentence for each option it lacks. */
export function compileSocketOptions(
  options: Partial<SocketPlan>,
  role: SocketRole,
): { calls: OptionCall[]; lacking: string[] } {
  const names = NUMBERS[process.platform];
  if (names === undefined) return { calls: [], lacking: unsupported(options) };
  const calls: OptionCall[] = [];
  const lacking: string[] = [];
  const add = (label: string, level: number, option: number | null, number: number): void => {
    if (option === null) lacking.push(`${label} is not available on ${process.platform}`);
    else calls.push({ label, level, option, value: number });
  };
  const { SOL_SOCKET } = names;
  if (options.nodelay === true) add("nodelay", IPPROTO_TCP, names.TCP_NODELAY, 1);
  if (options.quickack === true) add("quickack", IPPROTO_TCP, names.TCP_QUICKACK, 1);
  if (options.keepaliveSeconds !== undefined && options.keepaliveSeconds > 0) {
    const seconds = options.keepaliveSeconds;
    add("keepalive", SOL_SOCKET, names.SO_KEEPALIVE, 1);
    add("keepalive", IPPROTO_TCP, names.TCP_KEEPIDLE, seconds);
    add("keepalive", IPPROTO_TCP, names.TCP_KEEPINTVL, seconds);
  }
  if (options.sendBufferBytes != null)
    add("send_buffer", SOL_SOCKET, names.SO_SNDBUF, options.sendBufferBytes);
  if (options.receiveBufferBytes != null)
    add("receive_buffer", SOL_SOCKET, names.SO_RCVBUF, options.receiveBufferBytes);
  if (options.notsentLowatBytes != null)
    add("notsent_lowat", IPPROTO_TCP, names.TCP_NOTSENT_LOWAT, options.notsentLowatBytes);
  if (options.fastopen === true && role !== "accepted") {
    const forbidden = fastOpenForbidden(role);
    if (forbidden !== null) lacking.push(forbidden);
    // The listener's takes effect when it is allowed later; towards a target each call would be refused (EOPNOTSUPP).
    if (role === "listener") add("fastopen", IPPROTO_TCP, names.TCP_FASTOPEN, FASTOPEN_QUEUE);
    else if (forbidden === null) add("fastopen", IPPROTO_TCP, names.TCP_FASTOPEN_CONNECT, 1);
  }
  return { calls, lacking };
}

/** Makes the calls. @returns one sentence for each that the kernel refused. */
export function applySocketOptions(fd: number, calls: readonly OptionCall[]): readonly string[] {
  setInteger ??= setter();
  let refused: string[] = NONE;
  for (const { label, level, option, value: number } of calls) {
    if (setInteger(fd, level, option, number) >= 0) continue;
    if (refused === NONE) refused = [];
    refused.push(`${label} was refused by the system`);
  }
  return refused;
}

const NONE: string[] = [];

/**
 * Sets what `options` names on a TCP socket. Unset or null keeps the system's value.
 * @returns one sentence for each option that this platform lacks or the kernel refused; empty when all took effect.
 */
export function setSocketOptions(
  fd: number,
  options: Partial<SocketPlan>,
  role: SocketRole,
): string[] {
  const { calls, lacking } = compileSocketOptions(options, role);
  return [...lacking, ...applySocketOptions(fd, calls)];
}

/**
 * Buffers beyond the system's limit, which setsockopt(2) cuts without an error (socket(7)). Asked of a socket that is made for
 * the question, so that one answer holds for all sockets of a listener; /proc does not show the limits in a container. Linux.
 * @returns one sentence for each.
 */
export function cutBuffers(options: Partial<SocketPlan>): string[] {
  const { sendBufferBytes, receiveBufferBytes } = options;
  if (process.platform !== "linux" || (sendBufferBytes ?? receiveBufferBytes) == null) return NONE;
  const fd = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return NONE; // without a descriptor there are greater worries
  const { SO_SNDBUF, SO_RCVBUF } = NUMBERS.linux!;
  const sentences = [
    cutBuffer(fd, SO_SNDBUF, "send_buffer", sendBufferBytes ?? 0, "wmem_max"),
    cutBuffer(fd, SO_RCVBUF, "receive_buffer", receiveBufferBytes ?? 0, "rmem_max"),
  ].filter((sentence) => sentence !== "");
  libc.close(fd);
  return sentences;
}

/** @returns empty if the system gives what is asked. It doubles that for its own bookkeeping (socket(7)). */
function cutBuffer(fd: number, option: number, key: string, asked: number, limit: string): string {
  const { SOL_SOCKET } = NUMBERS.linux!;
  value[0] = asked;
  libc.setsockopt(fd, SOL_SOCKET, option, valueAddress, 4);
  length[0] = 4;
  libc.getsockopt(fd, SOL_SOCKET, option, valueAddress, lengthAddress);
  const given = value[0]! / 2;
  if (given >= asked) return "";
  return `${key} ${asked} is cut to ${given} by the system: raise its limit (sysctl net.core.${limit}=${asked})`;
}

/** Which bit of net.ipv4.tcp_fastopen allows it, and what to call that end. */
const FASTOPEN_BITS = {
  target: [1, "towards the target"],
  listener: [2, "for clients"],
} as const;
const FASTOPEN_BOTH = 3;

/** @returns a sentence if the system's setting lets Fast Open do nothing at this end; null if it is allowed or not known. */
function fastOpenForbidden(role: "listener" | "target"): string | null {
  if (process.platform !== "linux") return null;
  let setting: number;
  try {
    setting = Number(readFileSync("/proc/sys/net/ipv4/tcp_fastopen", "utf8"));
  } catch {
    return null;
  }
  const [bit, end] = FASTOPEN_BITS[role];
  if ((setting & bit) !== 0) return null;
  return (
    `fastopen does nothing ${end} while net.ipv4.tcp_fastopen is ${setting}: ` +
    `allow it (sysctl net.ipv4.tcp_fastopen=${setting | FASTOPEN_BOTH})`
  );
}

/** Platforms without a known setsockopt: nodelay and keepalive are set by the runtime's own calls there. */
function unsupported(options: Partial<SocketPlan>): string[] {
  const asked: string[] = [];
  if (options.quickack === true) asked.push("quickack");
  if (options.fastopen === true) asked.push("fastopen");
  if (options.sendBufferBytes != null) asked.push("send_buffer");
  if (options.receiveBufferBytes != null) asked.push("receive_buffer");
  if (options.notsentLowatBytes != null) asked.push("notsent_lowat");
  return asked.map((name) => `${name} is not available on ${process.platform}`);
}
