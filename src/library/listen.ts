// Listening, on Bun's own listener. A connection is accepted by the system and waits, unread, in a bounded queue until
// someone takes it.

import type { Socket, SocketHandler, TCPSocketListener, UnixSocketListener } from "bun";

import { cutBuffers, setSocketOptions } from "../ffi/socket-options.ts";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../shared/address.ts";
import { messageOf, ProxyError } from "../shared/errors.ts";
import { RELAY } from "../shared/limits.ts";
import { type Addr, ipAddr, unixAddr } from "./addr.ts";
import type { Conn, Listener } from "./conn.ts";
import {
  applySettings,
  checkSettings,
  type ConnSettings,
  keepAliveOf,
  reportWarnings,
  watermarksOf,
} from "./settings.ts";
import { type BunSocket, SocketConn } from "./socket-conn.ts";

/** How to listen, and the settings of the connections. */
export interface ListenOptions extends ConnSettings {
  /** TCP_FASTOPEN on the listener, Linux only. Default false. */
  readonly fastOpen?: boolean;
  /** Accepted connections that may wait to be taken; what comes beyond is reset. Default 4,096. */
  readonly acceptQueue?: number;
}

type BunListener = (
  TCPSocketListener<SocketConn | undefined> | UnixSocketListener<SocketConn | undefined>
) & {
  readonly fd: number;
};

/** Opens what `endpoint` says; an empty host is every address of both families, or of IPv4 on a system without IPv6. */
function bind(endpoint: Endpoint, socket: SocketHandler<SocketConn | undefined>): BunListener {
  const shared = { allowHalfOpen: true, data: undefined, socket };
  const open = (hostname: string, port: number): BunListener =>
    Bun.listen<SocketConn | undefined>({ hostname, port, ...shared }) as BunListener;
  if (endpoint.kind === "unix") {
    return Bun.listen<SocketConn | undefined>({ unix: endpoint.path, ...shared }) as BunListener;
  }
  if (endpoint.host !== "") return open(endpoint.host, endpoint.port);
  try {
    return open("::", endpoint.port);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== "EAFNOSUPPORT" && code !== "EADDRNOTAVAIL") throw error;
    return open("0.0.0.0", endpoint.port);
  }
}

class SocketListener implements Listener {
  readonly addr: Addr;
  readonly #listener: BunListener;
  readonly #options: ListenOptions;
  readonly #unixPath: string | null;
  readonly #waiting: SocketConn[] = [];
  readonly #takers: ((conn: Conn | null) => void)[] = [];
  #closed = false;

  constructor(endpoint: Endpoint, options: ListenOptions) {
    this.#options = options;
    this.#unixPath = endpoint.kind === "unix" ? endpoint.path : null;
    const socket = {
      ...SocketConn.handlers,
      open: (opened: Socket<SocketConn | undefined>): void => this.#accept(opened as BunSocket),
    };
    this.#listener = bind(endpoint, socket);
    const { hostname = "", port = 0 } = this.#listener as { hostname?: string; port?: number };
    this.addr = this.#unixPath === null ? ipAddr(hostname, port) : unixAddr(this.#unixPath);
    this.#tuneListener();
  }

  accept(): Promise<Conn | null> {
    const conn = this.#waiting.shift();
    if (conn !== undefined) return Promise.resolve(conn);
    if (this.#closed) return Promise.resolve(null);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Conn, void, void> {
    for (let conn = await this.accept(); conn !== null; conn = await this.accept()) yield conn;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#listener.stop(false);
    for (const conn of this.#waiting.splice(0)) conn.reset();
    for (const take of this.#takers.splice(0)) take(null);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(socket: BunSocket): void {
    const { acceptQueue = RELAY.listenBacklog } = this.#options;
    if (this.#closed || (this.#takers.length === 0 && this.#waiting.length >= acceptQueue)) {
      socket.terminate();
      return;
    }
    const conn = new SocketConn(socket, watermarksOf(this.#options), this.#unixPath);
    tune(conn, this.#options);
    const take = this.#takers.shift();
    if (take !== undefined) take(conn);
    else this.#waiting.push(conn);
  }

  /** Connections inherit buffer sizes from the listener, and the window scale is agreed before they are accepted (tcp(7)). */
  #tuneListener(): void {
    if (this.#unixPath !== null || process.platform === "win32") return;
    const { fastOpen = false, sendBufferSize = null, recvBufferSize = null, log } = this.#options;
    const options = {
      fastopen: fastOpen,
      sendBufferBytes: sendBufferSize,
      receiveBufferBytes: recvBufferSize,
    };
    const lacking = setSocketOptions(this.#listener.fd, options, "listener");
    reportWarnings([...lacking, ...cutBuffers(options)], log);
  }
}

/** Applies settings to a new connection, by descriptor where there is one. */
export function tune(conn: SocketConn, settings: ConnSettings): void {
  if (conn.remoteAddr.network === "unix") return;
  // Bun sets TCP_NODELAY on every socket.
  if (settings.noDelay === false) conn.setNoDelay(false);
  const { fd } = conn;
  if (fd !== null) reportWarnings(applySettings(fd, settings, "accepted"), settings.log);
  else conn.setKeepAlive(keepAliveOf(settings));
}

/**
 * Listens for connections.
 * @param addr `host:port`, `:port` (every address, IPv4 and IPv6), `[::1]:port` or `unix:/path`; port 0 takes any free one.
 * @throws ProxyError `ERR_ADDRESS` for an address that cannot be parsed, `ERR_LISTEN` when it cannot be bound, `ERR_USAGE` for a
 *   setting out of bounds.
 */
export async function listen(addr: string, options: ListenOptions = {}): Promise<Listener> {
  const endpoint = parseEndpoint(addr, "listen");
  checkSettings(options);
  try {
    return new SocketListener(endpoint, options);
  } catch (cause) {
    const code = (cause as { code?: string }).code ?? messageOf(cause);
    throw new ProxyError("ERR_LISTEN", `cannot listen on ${formatEndpoint(endpoint)}: ${code}`, {
      cause,
      cure: LISTEN_CURES[code] ?? "Check the address",
    });
  }
}

const LISTEN_CURES: Readonly<Record<string, string>> = {
  EADDRINUSE:
    "Another program holds it (or has left its socket file): stop that, or choose another address",
  EACCES: "Ports below 1024 need a privilege: choose a higher port",
  EADDRNOTAVAIL: "This machine does not have that address",
};
