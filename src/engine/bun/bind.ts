// Listening sockets of the runtime: which address, shared between workers or not, a stale unix socket replaced, and every
// failure as an ERR_LISTEN that names the address, the reason and the cure. Called by listener.ts.

import { lstatSync, unlinkSync } from "node:fs";

import type { SocketHandler } from "bun";

import { ECONNREFUSED } from "../../ffi/errno.ts";
import { errno, libc } from "../../ffi/libc.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../../ffi/linux.ts";
import { encodeSockaddr } from "../../ffi/sockaddr.ts";
import { formatSocketAddress, type SocketAddress } from "../../shared/address.ts";
import { ProxyError } from "../../shared/errors.ts";
import { errnoOf, type SocketEvents } from "./connection.ts";

export interface Bound {
  readonly address: SocketAddress;
  /** For socket options; -1 where the runtime does not tell. */
  readonly fd: number;
  stop(): void;
}

export interface BindOptions {
  /** Several workers bind this address. */
  readonly reusePort: boolean;
  /** Fail if another process holds the address, even one that would share it. */
  readonly exclusive: boolean;
}

type Handlers = SocketHandler<SocketEvents>;

/** @throws ProxyError ERR_LISTEN */
export function bind(address: SocketAddress, options: BindOptions, handlers: Handlers): Bound {
  try {
    if (address.kind === "unix") return bindUnix(address.path, handlers);
    if (address.host !== "") return bindIp(address.host, address.port, options, handlers);
    return bindEvery(address.port, options, handlers);
  } catch (error) {
    throw error instanceof ProxyError ? error : listenError(address, error);
  }
}

/** `::` takes IPv4 too (ipv6(7), IPV6_V6ONLY off); a machine without IPv6 gets IPv4 alone. */
function bindEvery(port: number, options: BindOptions, handlers: Handlers): Bound {
  try {
    return bindIp("::", port, options, handlers);
  } catch (error) {
    if (!["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes(errnoOf(error))) throw error;
    return bindIp("0.0.0.0", port, options, handlers);
  }
}

function bindIp(hostname: string, wanted: number, options: BindOptions, handlers: Handlers): Bound {
  let port = wanted;
  if (options.exclusive && options.reusePort) {
    // SO_REUSEPORT would share the address with any process of the same user; bound without it first, nobody else has it.
    const probe = Bun.listen({ hostname, port, socket: handlers });
    port = probe.port;
    probe.stop(true);
  }
  const { reusePort } = options;
  const listen = { hostname, port, allowHalfOpen: true, reusePort, socket: handlers };
  const server = Bun.listen(listen);
  return {
    address: { kind: "ip", host: hostname, port: server.port },
    fd: (server as { fd?: number }).fd ?? -1,
    stop: () => server.stop(),
  };
}

function bindUnix(path: string, handlers: Handlers): Bound {
  removeStale(path);
  const server = Bun.listen({ unix: path, allowHalfOpen: true, socket: handlers });
  // The runtime removes the file when it stops.
  return { address: { kind: "unix", path }, fd: -1, stop: () => server.stop() };
}

/** A process that was killed leaves its socket file, on which bind(2) fails for ever (unix(7)). */
function removeStale(path: string): void {
  const file = lstatSync(path, { throwIfNoEntry: false });
  if (file === undefined) return;
  const address: SocketAddress = { kind: "unix", path };
  if (!file.isSocket()) {
    throw new ProxyError(
      "ERR_LISTEN",
      `cannot listen on ${formatSocketAddress(address)}: a file that is not a socket is there`,
      { cure: "Choose another path, or move the file away" },
    );
  }
  if (isAnswered(path)) throw listenError(address, { code: "EADDRINUSE" });
  unlinkSync(path);
}

/**
 * Whether a process listens on this socket file. In doubt it counts as answered: its file must not be taken. Exported for
 * tests.
 */
export function isAnswered(path: string, bySystemCall = process.platform === "linux"): boolean {
  if (!bySystemCall) {
    // Part of macOS and the BSDs; without it nothing says that the file is stale.
    const nc = Bun.which("nc");
    return nc === null || Bun.spawnSync([nc, "-z", "-U", path]).exitCode === 0;
  }
  const fd = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;
  const { bytes } = encodeSockaddr({ kind: "unix", path });
  const refused = libc.connect(fd, bytes, bytes.length) < 0 && errno() === ECONNREFUSED;
  libc.close(fd);
  return !refused;
}

const REASONS: Readonly<Record<string, readonly [reason: string, cure: string]>> = {
  EADDRINUSE: [
    "the address is in use",
    "End the program that listens there, or choose another port or path",
  ],
  EACCES: [
    "permission denied",
    "Ports below 1024 need CAP_NET_BIND_SERVICE or root; a unix socket needs a folder that can be written",
  ],
  EADDRNOTAVAIL: [
    "this machine does not have that address",
    "Use an address of this machine, or :PORT for all of them",
  ],
  ENOENT: ["the folder does not exist", "Create the folder first"],
};

export function listenError(address: SocketAddress, cause: unknown): ProxyError {
  const code = errnoOf(cause);
  const [reason, cure] = REASONS[code] ?? [
    cause instanceof Error ? cause.message : "the system refused",
    "Check the address",
  ];
  return new ProxyError(
    "ERR_LISTEN",
    `cannot listen on ${formatSocketAddress(address)}: ${reason} (${code})`,
    { cause, cure },
  );
}
