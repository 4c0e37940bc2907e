// Idle connections to one target, kept for reuse. Invariant: every idle connection is watched, so one that dies, half-closes
// or yields bytes leaves the pool before anyone gets it. For users who dial the same target often.

import { ProxyError } from "../shared/errors.ts";
import { BOUNDS } from "../shared/limits.ts";
import type { Conn } from "./conn.ts";
import { dial, type DialOptions } from "./dial.ts";
import { requireInteger } from "./settings.ts";
import { SocketConn } from "./socket-conn.ts";

/** How long and how many connections a pool keeps. */
export interface ConnPoolConfig {
  /** Idle connections that are kept; what is put back beyond them is closed. Default 10. */
  readonly maxIdle?: number;
  /** Milliseconds from its dialling after which a connection is not reused any more; 0: no limit. Default 0. */
  readonly maxAge?: number;
  /** Milliseconds that dialling may take; 0: the system's own limit. Default 10,000. */
  readonly dialTimeout?: number;
  /** Milliseconds of silence before, and between, TCP keepalive probes; 0: none. Default 30,000. */
  readonly keepAlive?: number;
}

/** The defaults of ConnPoolConfig. */
export function defaultConnPoolConfig(): Required<ConnPoolConfig> {
  return { maxIdle: 10, maxAge: 0, dialTimeout: 10_000, keepAlive: 30_000 };
}

/** Figures of a ConnPool since it was made. */
export interface ConnPoolStats {
  /** Connections dialled. */
  readonly created: number;
  /** Times that `get` returned a connection that was in use before. */
  readonly reused: number;
  /** In the pool now. */
  readonly idle: number;
  /** Handed out and neither put back nor over. */
  readonly active: number;
  /** Not kept, or taken out again: dead, half-closed, with unread bytes, too old, or one too many. */
  readonly discarded: number;
}

/** Dials one target with a pool's settings. */
export class PoolDialer {
  readonly addr: string;
  readonly config: Required<ConnPoolConfig>;
  readonly #options: DialOptions;

  /**
   * @param addr as for `dial`.
   * @param options further settings of the connections.
   * @throws ProxyError `ERR_USAGE` for a value out of bounds.
   */
  constructor(
    addr: string,
    config: ConnPoolConfig = {},
    options: Omit<DialOptions, "signal" | "timeout" | "keepAlive"> = {},
  ) {
    this.addr = addr;
    this.config = { ...defaultConnPoolConfig(), ...config };
    this.#options = options;
    requireInteger("maxIdle", this.config.maxIdle, 0, BOUNDS.maxConnectionsMax);
    requireInteger("maxAge", this.config.maxAge, 0, BOUNDS.timeoutMaxMs);
    requireInteger("dialTimeout", this.config.dialTimeout, 0, BOUNDS.timeoutMaxMs);
    requireInteger("keepAlive", this.config.keepAlive, 0, BOUNDS.keepaliveMaxSeconds * 1000);
  }

  /** A new connection. @throws as `dial`. */
  dial(signal?: AbortSignal): Promise<Conn> {
    const { dialTimeout: timeout, keepAlive } = this.config;
    const options = { ...this.#options, timeout, keepAlive };
    return dial(this.addr, signal === undefined ? options : { ...options, signal });
  }

  /** A pool of its own; pools share nothing. */
  newPool(): ConnPool {
    return new ConnPool(this);
  }
}

interface Entry {
  readonly conn: SocketConn;
  readonly dialledMs: number;
  /** Until when the event loop may not have told what the system knows about the connection. */
  settled: Promise<void>;
}

/**
 * Connections to one target that are used again instead of dialled again.
 *
 *     const pool = new PoolDialer("127.0.0.1:6379", { maxIdle: 50 }).newPool();
 *     const conn = await pool.get();
 *     …                                            // read every answer to its end
 *     pool.put(conn);
 */
export class ConnPool implements AsyncDisposable {
  readonly #dialer: PoolDialer;
  readonly #known = new Map<SocketConn, Entry>();
  /** The last in is the first out: it is the least likely to have been closed by the target. */
  readonly #idle: Entry[] = [];
  #created = 0;
  #reused = 0;
  #discarded = 0;
  #closed = false;

  constructor(dialer: PoolDialer) {
    this.#dialer = dialer;
  }

  /**
   * An idle connection, or a new one.
   * @throws ProxyError `ERR_CLOSED` after `close`; otherwise as `dial`.
   */
  async get(options: { readonly signal?: AbortSignal } = {}): Promise<Conn> {
    const { signal } = options;
    signal?.throwIfAborted();
    for (let entry = this.#idle.at(-1); entry !== undefined; entry = this.#idle.at(-1)) {
      await entry.settled;
      signal?.throwIfAborted();
      const at = this.#idle.indexOf(entry);
      if (at < 0) continue; // taken by another, or it died meanwhile
      this.#idle.splice(at, 1);
      if (this.#tooOld(entry)) {
        this.#discard(entry.conn);
        continue;
      }
      entry.conn.unwatch();
      this.#reused++;
      return entry.conn;
    }
    return this.#dial(signal);
  }

  /**
   * Gives a connection back. One that may not be reused is closed instead: dead, half-closed, with unread bytes, a read or
   * write under way, too old, one too many, or after `close`.
   * @returns whether it was kept so far.
   * @throws ProxyError `ERR_STATE` for a connection that this pool did not hand out, or that is in the pool already.
   */
  put(conn: Conn): boolean {
    const entry = this.#known.get(conn as SocketConn);
    if (entry === undefined && conn instanceof SocketConn && !conn.open) return false;
    if (entry === undefined || this.#idle.includes(entry)) {
      throw new ProxyError("ERR_STATE", "the connection is not out of this pool");
    }
    const { conn: socket } = entry;
    const fit = socket.open && socket.quiet && !socket.held && socket.unreadBytes === 0;
    const room = this.#idle.length < this.#dialer.config.maxIdle;
    if (!fit || !room || this.#closed || this.#tooOld(entry)) {
      this.#discard(socket);
      return false;
    }
    this.#idle.push(entry);
    socket.watch(() => this.#remove(entry));
    entry.settled = turnOfTheEventLoop();
    return true;
  }

  stats(): ConnPoolStats {
    const idle = this.#idle.length;
    return {
      created: this.#created,
      reused: this.#reused,
      idle,
      active: this.#known.size - idle,
      discarded: this.#discarded,
    };
  }

  /** Closes the idle connections; those handed out are closed when they are put back. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#idle.splice(0).map(({ conn }) => conn.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #dial(signal: AbortSignal | undefined): Promise<Conn> {
    if (this.#closed) throw new ProxyError("ERR_CLOSED", "the pool is closed");
    const conn = (await this.#dialer.dial(signal)) as SocketConn;
    if (this.#closed) {
      conn.reset();
      throw new ProxyError("ERR_CLOSED", "the pool is closed");
    }
    this.#created++;
    this.#known.set(conn, { conn, dialledMs: performance.now(), settled: Promise.resolve() });
    void conn.closed.then(() => this.#known.delete(conn));
    return conn;
  }

  #tooOld({ dialledMs }: Entry): boolean {
    const { maxAge } = this.#dialer.config;
    return maxAge > 0 && performance.now() - dialledMs >= maxAge;
  }

  /** An idle connection showed life: it has nothing to say to its next user. */
  #remove(entry: Entry): void {
    const at = this.#idle.indexOf(entry);
    if (at < 0) return;
    this.#idle.splice(at, 1);
    this.#discard(entry.conn);
  }

  #discard(conn: SocketConn): void {
    this.#discarded++;
    conn.unwatch();
    this.#known.delete(conn);
    void conn.close();
  }
}

/** After it the event loop has asked the system for news once. */
function turnOfTheEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}
