// Listening sockets of the runtime: which address, shared between workers or not, a stale unix socket replaced, and every
// failure as an ERR_LISTEN that names the address, the reason and the cure. Called by listener.ts.

import type { SocketHandler } from "bun";

import { formatSocketAddress, type SocketAddress } from "../../shared/address.ts";
import { errnoOf, ProxyError } from "../../shared/errors.ts";
import { listenError } from "../../shared/listen-error.ts";
import { removeStaleSocket } from "../stale-socket.ts";
import type { SocketEvents } from "./connection.ts";

export interface Bound {
  readonly address: SocketAddress;
  /** For socket options; -1 where the runtime does not tell. */
  readonly fd: number;
  stop(): void;
  /** Other handlers, also for sockets that were accepted before. */
  reload(handlers: Handlers): void;
}

export interface BindOptions {
  /** A socket that listens at the address already, and is the runtime's from here on; none: it is to be bound. */
  readonly fd?: number | undefined;
  /** Several workers bind this address. */
  readonly reusePort: boolean;
  /** Fail if another process holds the address, even one that would share it. */
  readonly exclusive: boolean;
}

type Handlers = SocketHandler<SocketEvents>;

/** @throws ProxyError ERR_LISTEN */
export function bind(address: SocketAddress, options: BindOptions, handlers: Handlers): Bound {
  try {
    if (options.fd !== undefined) return listenOn(options.fd, address, handlers);
    if (address.kind === "unix") return bindUnix(address.path, handlers);
    if (address.host !== "") {
      const { host, port } = address;
      return bindIp({ hostname: host, port, ipv6Only: host.includes(":") }, options, handlers);
    }
    return bindEvery(address.port, options, handlers);
  } catch (error) {
    if (error instanceof ProxyError) throw error;
    throw listenError(formatSocketAddress(address), errnoOf(error), error);
  }
}

/**
 * `::` takes IPv4 too (ipv6(7), IPV6_V6ONLY off); a machine without IPv6 gets IPv4 alone. Either way the address stays
 * written as every address, so that another worker binds it in the same way.
 */
function bindEvery(port: number, options: BindOptions, handlers: Handlers): Bound {
  const bound = bindEitherFamily(port, options, handlers);
  return { ...bound, address: { ...bound.address, host: "" } };
}

function bindEitherFamily(port: number, options: BindOptions, handlers: Handlers): IpBound {
  try {
    return bindIp({ hostname: "::", port, ipv6Only: false }, options, handlers);
  } catch (error) {
    if (!["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes(errnoOf(error))) throw error;
    return bindIp({ hostname: "0.0.0.0", port, ipv6Only: false }, options, handlers);
  }
}

interface IpBound extends Bound {
  readonly address: SocketAddress & { readonly kind: "ip" };
}

function bindIp(
  wanted: { readonly hostname: string; readonly port: number; readonly ipv6Only: boolean },
  options: BindOptions,
  handlers: Handlers,
): IpBound {
  let { port } = wanted;
  if (options.exclusive && options.reusePort) {
    // SO_REUSEPORT would share the address with any process of the same user; bound without it first, nobody else has it.
    const probe = Bun.listen({ ...wanted, socket: handlers });
    port = probe.port;
    probe.stop(true);
  }
  const { reusePort } = options;
  // bun-types declares neither option for listening; both take effect (tried, and held by the contract suite).
  const listen = { ...wanted, port, allowHalfOpen: true, reusePort, socket: handlers };
  const server = Bun.listen(listen);
  return {
    address: { kind: "ip", host: wanted.hostname, port: server.port },
    fd: (server as { fd?: number }).fd ?? -1,
    stop: () => server.stop(),
    reload: (socket) => server.reload({ socket }),
  };
}

/** The runtime's typings leave `fd` out. */
function listenOn(fd: number, address: SocketAddress, handlers: Handlers): Bound {
  const options = { fd, allowHalfOpen: true, socket: handlers } as unknown;
  const server = Bun.listen(options as Parameters<typeof Bun.listen<SocketEvents>>[0]);
  return {
    address,
    fd,
    stop: () => server.stop(),
    reload: (socket) => server.reload({ socket }),
  };
}

function bindUnix(path: string, handlers: Handlers): Bound {
  removeStaleSocket(path);
  const server = Bun.listen({ unix: path, allowHalfOpen: true, socket: handlers });
  // The runtime removes the file when it stops.
  return {
    address: { kind: "unix", path },
    fd: -1,
    stop: () => server.stop(),
    reload: (socket) => server.reload({ socket }),
  };
}
