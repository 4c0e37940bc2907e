// How sockets of datagrams are bound. On Linux, every address of this machine gets a socket of its own beside the wildcard's: an
// answer from the wildcard's would leave with the address that its route prefers, which on a machine with several addresses is
// not always the one that the client asked, and the client would not know it. The kernel gives a datagram to the socket with
// the more specific address. Called by sockets.ts.

import { networkInterfaces } from "node:os";

import type { udp } from "bun";

import { formatSocketAddress, type SocketAddress } from "../../shared/address.ts";
import { errnoOf, ProxyError } from "../../shared/errors.ts";
import { listenError } from "../../shared/listen-error.ts";
import type { BindRequest } from "../../shared/messages.ts";

export type Handlers = udp.SocketHandler<"buffer">;

/** The runtime's options that its typings leave out; node:dgram's `reusePort` and `ipv6Only` are made of them. */
const REUSE_PORT = 4;
const IPV6_ONLY = 8;

/** Makes a LocalSocket (sockets.ts) around a socket that calls these handlers. */
export type Adopt = (
  host: string,
  make: (handlers: Handlers) => Promise<udp.Socket<"buffer">>,
) => Promise<unknown>;

type Request = Pick<BindRequest, "binds" | "reusePort" | "exclusive">;

/**
 * Binds every address of the request; those of one name share the port that the system chose for the first.
 * @throws ProxyError ERR_LISTEN. What was bound before stays: the caller closes it.
 */
export async function bindAll(request: Request, adopt: Adopt): Promise<SocketAddress[]> {
  const bound: SocketAddress[] = [];
  for (const address of request.binds) {
    if (address.kind === "unix") {
      throw new ProxyError("ERR_LISTEN", `cannot listen on unix:${address.path}: UDP has ports`);
    }
    const { host } = address;
    const port = address.port === 0 ? portOf(bound[0]) : address.port;
    try {
      bound.push({ kind: "ip", host, port: await bindOne(host, port, request, adopt) });
    } catch (error) {
      if (error instanceof ProxyError) throw error;
      throw listenError(formatSocketAddress({ kind: "ip", host, port }), errnoOf(error), error);
    }
  }
  return bound;
}

function portOf(address: SocketAddress | undefined): number {
  return address?.kind === "ip" ? address.port : 0;
}

/** @returns the port. */
async function bindOne(
  host: string,
  wanted: number,
  request: Request,
  adopt: Adopt,
): Promise<number> {
  const flags = request.reusePort || sharesPort(host) ? REUSE_PORT : 0;
  let port = wanted;
  if (request.exclusive && flags !== 0) port = await makeSure(host, port);
  await adopt(host, async (handlers) => {
    const socket = await bindEither(host, port, flags, handlers);
    port = socket.port;
    return socket;
  });
  if (sharesPort(host)) await bindEach(machineAddresses(host), port, adopt);
  return port;
}

/**
 * SO_REUSEPORT would share an address with any process of the same user; bound without it first, nobody else has it.
 * @returns the port, which may have been 0. @throws the system's error.
 */
export async function makeSure(host: string, port: number): Promise<number> {
  const probe = await bindEither(host, port, 0, {});
  const { port: free } = probe;
  probe.close();
  return free;
}

/** Whether sockets of single addresses stand beside this one. */
export function sharesPort(host: string): boolean {
  return process.platform === "linux" && ["", "0.0.0.0", "::"].includes(host);
}

/** One socket. @param host empty: every address. */
export function bindAt(
  host: string,
  port: number,
  reusePort: boolean,
  handlers: Handlers,
): Promise<udp.Socket<"buffer">> {
  return bindEither(host, port, reusePort ? REUSE_PORT : 0, handlers);
}

/** `::` takes IPv4 too; a machine without IPv6 gets IPv4 alone. An address in brackets is IPv6 alone. */
async function bindEither(
  host: string,
  port: number,
  flags: number,
  socket: Handlers,
): Promise<udp.Socket<"buffer">> {
  if (host !== "") {
    return bindSocket(host, port, host.includes(":") ? flags | IPV6_ONLY : flags, socket);
  }
  try {
    return await bindSocket("::", port, flags, socket);
  } catch (error) {
    if (!["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes(errnoOf(error))) throw error;
    return bindSocket("0.0.0.0", port, flags, socket);
  }
}

function bindSocket(
  hostname: string,
  port: number,
  flags: number,
  socket: Handlers,
): Promise<udp.Socket<"buffer">> {
  const options: udp.SocketOptions<"buffer"> & { flags: number } = {
    hostname,
    port,
    flags,
    binaryType: "buffer",
    socket,
  };
  return Bun.udpSocket(options);
}

/** A socket that is bound already. @param fd is the socket's own from here on. */
export function takeOver(fd: number, socket: Handlers): Promise<udp.Socket<"buffer">> {
  // The typings leave `fd` out.
  const options = { fd, binaryType: "buffer", socket } as unknown;
  return Bun.udpSocket(options as udp.SocketOptions<"buffer">);
}

/** Binds whatever of an address `held` has not, beside it. @throws ProxyError ERR_LISTEN for the address itself. */
export async function bindBeside(
  address: SocketAddress,
  held: readonly string[],
  adopt: Adopt,
): Promise<void> {
  if (address.kind === "unix") return;
  const { host, port } = address;
  if (!held.includes(host)) {
    try {
      await adopt(host, (handlers) => bindEither(host, port, REUSE_PORT, handlers));
    } catch (error) {
      throw listenError(formatSocketAddress(address), errnoOf(error), error);
    }
  }
  if (!sharesPort(host)) return;
  const missing = machineAddresses(host).filter((each) => !held.includes(each));
  await bindEach(missing, port, adopt);
}

/** What cannot be bound is served by the wildcard's socket. */
export async function bindEach(
  hosts: readonly string[],
  port: number,
  adopt: Adopt,
): Promise<void> {
  for (const host of hosts) {
    const flags = host.includes(":") ? REUSE_PORT | IPV6_ONLY : REUSE_PORT;
    try {
      await adopt(host, (handlers) => bindSocket(host, port, flags, handlers));
    } catch (error) {
      if (error instanceof ProxyError) throw error;
    }
  }
}

/** The addresses of this machine that a wildcard stands for. Link-local ones belong to a link: the wildcard serves them. */
export function machineAddresses(wildcard: string): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const fitting = all.filter(({ family, address }) => {
    if (family === "IPv4") return wildcard !== "::";
    return wildcard !== "0.0.0.0" && !/^fe[89ab]/i.test(address);
  });
  return [...new Set(fitting.map(({ address }) => address))];
}
