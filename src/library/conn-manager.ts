// Keeps count of connections: a limit on how many are open, an idle timeout, and an orderly shutdown. Counts end by
// themselves when a connection does. `Tunnel` uses it for protocols of a user's own; it serves any server.

import { ProxyError } from "../shared/errors.ts";
import { BOUNDS, LISTENER_DEFAULTS, RELAY } from "../shared/limits.ts";
import { ConnInfo } from "./conn-info.ts";
import type { Conn } from "./conn.ts";
import { ManagedConn } from "./managed-conn.ts";
import { requireInteger } from "./settings.ts";

/** What a ConnManager allows. */
export interface ConnManagerConfig {
  /** Connections open at once; 0: no limit. Default 0. */
  readonly maxConnections?: number;
  /** Milliseconds without a byte either way after which a connection is reset; 0: never. Default 0. */
  readonly connectionTimeout?: number;
  /**
   * Milliseconds that an accepted connection may wait to be put to use by `wrapConn`, after which it is reset; 0: for ever.
   * Default 0.
   */
  readonly acceptTimeout?: number;
}

/** Figures of a ConnManager since it was made. */
export interface ConnManagerStats {
  readonly active: number;
  /** Accepted since the start. */
  readonly total: number;
  /** Turned away by `maxConnections` or because of a shutdown. */
  readonly rejected: number;
  /** Reset by `connectionTimeout` or `acceptTimeout`. */
  readonly timedOut: number;
  /** Bytes from and to the peers of all connections so far. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/**
 * Limits, counts and ends the connections of a server.
 *
 *     const info = manager.accept(conn);           // or ERR_CONNECTION_LIMIT
 *     await forward(manager.wrapConn(conn, info), target);
 */
export class ConnManager implements AsyncDisposable {
  readonly #maxConnections: number;
  readonly #idleMs: number;
  readonly #acceptMs: number;
  readonly #open = new Map<string, ConnInfo>();
  #nextId = 1;
  #total = 0;
  #rejected = 0;
  #timedOut = 0;
  #endedIn = 0;
  #endedOut = 0;
  #stopping = false;
  #sweeper: NodeJS.Timeout | undefined;
  readonly #onEmpty = new Set<() => void>();

  /** @throws ProxyError `ERR_USAGE` for a value out of bounds. */
  constructor(config: ConnManagerConfig = {}) {
    this.#maxConnections = config.maxConnections ?? LISTENER_DEFAULTS.maxConnections;
    this.#idleMs = config.connectionTimeout ?? 0;
    this.#acceptMs = config.acceptTimeout ?? 0;
    requireInteger("maxConnections", this.#maxConnections, 0, BOUNDS.maxConnectionsMax);
    requireInteger("connectionTimeout", this.#idleMs, 0, BOUNDS.timeoutMaxMs);
    requireInteger("acceptTimeout", this.#acceptMs, 0, BOUNDS.timeoutMaxMs);
  }

  /**
   * Takes a connection in. It stays counted until it is over.
   * @throws ProxyError `ERR_CONNECTION_LIMIT` when `maxConnections` are open, `ERR_CLOSED` after `shutdown` began. The
   *   connection is the caller's then: reset it, or say why.
   */
  accept(conn: Conn): ConnInfo {
    const full = this.#maxConnections > 0 && this.#open.size >= this.#maxConnections;
    if (full || this.#stopping) {
      this.#rejected++;
      if (this.#stopping) throw new ProxyError("ERR_CLOSED", "the manager is shutting down");
      throw new ProxyError("ERR_CONNECTION_LIMIT", `${this.#maxConnections} connections are open`, {
        cure: "Raise maxConnections, or try again later",
      });
    }
    const info = new ConnInfo(String(this.#nextId++), conn);
    this.#total++;
    this.#open.set(info.id, info);
    void conn.closed.then(() => this.#release(info));
    this.#sweepWhileOpen();
    return info;
  }

  /**
   * The same connection, whose every byte counts as activity for `connectionTimeout`. `forward` relays it in the kernel if it
   * would relay `conn` there.
   * @param info what `accept` returned for this connection.
   * @throws ProxyError `ERR_STATE` if this manager did not accept it, or it is over.
   */
  wrapConn(conn: Conn, info: ConnInfo): Conn {
    if (this.#open.get(info.id) !== info) {
      throw new ProxyError("ERR_STATE", `connection ${info.id} is not open in this manager`);
    }
    info.wrapped = true;
    info.touch();
    return new ManagedConn(conn, info, this.#idleMs);
  }

  stats(): ConnManagerStats {
    let [bytesIn, bytesOut] = [this.#endedIn, this.#endedOut];
    for (const info of this.#open.values()) {
      bytesIn += info.bytesIn;
      bytesOut += info.bytesOut;
    }
    return {
      active: this.#open.size,
      total: this.#total,
      rejected: this.#rejected,
      timedOut: this.#timedOut,
      bytesIn,
      bytesOut,
    };
  }

  /** The connections that are open now. */
  connections(): ConnInfo[] {
    return [...this.#open.values()];
  }

  /**
   * Accepts nothing more, waits until every connection is over, and resets those left when `signal` is aborted. Without a signal
   * it waits as long as they last.
   * @returns how many were reset.
   */
  async shutdown(options: { readonly signal?: AbortSignal } = {}): Promise<{ reset: number }> {
    this.#stopping = true;
    const { signal } = options;
    if (this.#open.size > 0 && signal?.aborted !== true) await this.#emptyOr(signal);
    const left = [...this.#open.values()];
    for (const info of left) info.conn.reset();
    await Promise.all(left.map((info) => info.conn.closed));
    clearInterval(this.#sweeper);
    return { reset: left.length };
  }

  /** Resets every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown({ signal: AbortSignal.abort() });
  }

  #emptyOr(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        signal?.removeEventListener("abort", finish);
        this.#onEmpty.delete(finish);
        resolve();
      };
      this.#onEmpty.add(finish);
      signal?.addEventListener("abort", finish, { once: true });
    });
  }

  #release(info: ConnInfo): void {
    if (!this.#open.delete(info.id)) return;
    info.close();
    this.#endedIn += info.bytesIn;
    this.#endedOut += info.bytesOut;
    if (this.#open.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
    for (const finish of this.#onEmpty) finish();
  }

  #sweepWhileOpen(): void {
    const timeouts = [this.#idleMs, this.#acceptMs].filter((ms) => ms > 0);
    if (timeouts.length === 0 || this.#sweeper !== undefined) return;
    const { sweepMinMs, sweepMaxMs } = RELAY;
    const every = Math.min(sweepMaxMs, Math.max(sweepMinMs, Math.min(...timeouts) / 8));
    this.#sweeper = setInterval(() => this.#sweep(), every);
    this.#sweeper.unref();
  }

  #sweep(): void {
    const now = performance.now();
    for (const info of this.#open.values()) {
      // Once wrapped, the idle timeout holds; in the kernel, the relay engine keeps it.
      const limit = info.wrapped ? this.#idleMs : this.#acceptMs;
      if (info.wrapped) info.noteBytes();
      if (limit === 0 || info.relayedElsewhere || now - info.activeMs < limit) continue;
      this.#timedOut++;
      info.conn.reset();
    }
  }
}
