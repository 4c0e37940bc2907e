// Socket options that a plan asks for, set on a descriptor of any engine or of a library user. Constants differ between
// Linux and macOS (tcp(7), tcp(4)); what a platform lacks comes back as a warning, never silently.

import { dlopen, ptr } from "bun:ffi";

import type { SocketPlan } from "../shared/plan.ts";
import { libc } from "./libc.ts";
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
  if (options.fastopen === true && role === "listener")
    add("fastopen", IPPROTO_TCP, names.TCP_FASTOPEN, FASTOPEN_QUEUE);
  if (options.fastopen === true && role === "target")
    add("fastopen", IPPROTO_TCP, names.TCP_FASTOPEN_CONNECT, 1);
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
