// Connecting. Only node:net can give up a connection attempt under way and close its descriptor at once; Bun.connect cannot
// (1.4.5: its promise cannot be cancelled, and the attempt keeps the process alive for two minutes). So node:net connects,
// and in its connect event, before any byte is read, the Bun socket inside it changes hands to a SocketConn.

import { connect, type Socket } from "node:net";

import { type Endpoint, parseEndpoint } from "../shared/address.ts";
import { messageOf, ProxyError } from "../shared/errors.ts";
import { BOUNDS, LISTENER_DEFAULTS } from "../shared/limits.ts";
import type { Conn } from "./conn.ts";
import { tune } from "./listen.ts";
import { checkSettings, type ConnSettings, requireInteger, watermarksOf } from "./settings.ts";
import { type BunSocket, SocketConn } from "./socket-conn.ts";

/** How to connect, and the settings of the connection. */
export interface DialOptions extends ConnSettings {
  /** Gives up when aborted: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Milliseconds for the whole attempt, names and all their addresses included; 0: the system's own limit. Default 5,000. */
  readonly timeout?: number;
}

/**
 * Connects to a target. All addresses of a name are tried.
 * @param addr `host:port`, `[::1]:port` or `unix:/path`.
 * @throws ProxyError `ERR_ADDRESS` for an address that cannot be parsed, `ERR_RESOLVE` for a name without an address,
 *   `ERR_CONNECT` with the system's reason, `ERR_CONNECT_TIMEOUT`; and the reason of the signal if it was aborted.
 */
export async function dial(addr: string, options: DialOptions = {}): Promise<Conn> {
  const endpoint = parseEndpoint(addr, "target");
  checkSettings(options);
  const { timeout = LISTENER_DEFAULTS.connectMs, signal } = options;
  requireInteger("timeout", timeout, 0, BOUNDS.timeoutMaxMs);
  signal?.throwIfAborted();
  const conn = await attempt(addr, endpoint, timeout, options);
  tune(conn, options);
  return conn;
}

function attempt(
  addr: string,
  endpoint: Endpoint,
  timeout: number,
  options: DialOptions,
): Promise<SocketConn> {
  const { signal } = options;
  const where =
    endpoint.kind === "unix"
      ? { path: endpoint.path }
      : { host: endpoint.host, port: endpoint.port };
  return new Promise((resolve, reject) => {
    const socket = connect({ ...where, allowHalfOpen: true });
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    };
    const fail = (error: unknown): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const abort = (): void => fail(signal!.reason);
    const expire = (): void =>
      fail(
        new ProxyError("ERR_CONNECT_TIMEOUT", `${addr} did not answer within ${timeout} ms`, {
          cure: "Check that the target is up and that no firewall drops its packets",
        }),
      );
    const timer = timeout > 0 ? setTimeout(expire, timeout) : undefined;
    signal?.addEventListener("abort", abort, { once: true });
    // Stays for good: a destroyed socket may still report what went wrong.
    socket.on("error", (cause: NodeJS.ErrnoException) => fail(explain(addr, cause)));
    socket.once("connect", () => {
      settle();
      resolve(takeOver(socket, options, endpoint.kind === "unix" ? endpoint.path : null));
    });
  });
}

/** Takes the Bun socket out of a connected node:net socket, which keeps nothing of it. */
function takeOver(socket: Socket, options: DialOptions, unixPath: string | null): SocketConn {
  const holder = socket as unknown as { _handle: BunSocket | null };
  const handle = holder._handle;
  if (handle === null || typeof handle.reload !== "function") {
    throw new ProxyError("ERR_SYSTEM", "this version of Bun connects in another way", {
      cure: "Use Bun 1.4.5",
    });
  }
  holder._handle = null;
  handle.reload({ socket: SocketConn.handlers });
  return new SocketConn(handle, watermarksOf(options), unixPath);
}

function explain(addr: string, cause: NodeJS.ErrnoException): ProxyError {
  const code = cause.code ?? messageOf(cause);
  if (cause.syscall === "getaddrinfo" || code === "ENOTFOUND") {
    return new ProxyError("ERR_RESOLVE", `the name in ${addr} has no address: ${code}`, {
      cause,
      cure: "Check the name and the resolver",
    });
  }
  return new ProxyError("ERR_CONNECT", `cannot connect to ${addr}: ${code}`, {
    cause,
    cure: "Check that the target listens there",
  });
}
