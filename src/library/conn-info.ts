// What a ConnManager knows of one connection. Users read it; only the manager and its wrapper change it.

import type { Conn } from "./conn.ts";
import { handoverOf } from "./handover.ts";

/** One connection that a `ConnManager` accepted: who, since when, how much. Made by `ConnManager.accept`. */
export class ConnInfo {
  /** Unique within its manager, never reused. */
  readonly id: string;
  /** `127.0.0.1:5123`, `[::1]:5123` or `unix:/path`. */
  readonly remoteAddr: string;
  readonly startTime: Date;
  /** The connection itself. @internal */
  readonly conn: Conn;
  /** Put to use by `wrapConn`. @internal */
  wrapped = false;
  /** When a byte last moved, on the clock of performance.now(). @internal */
  activeMs: number;
  #endedMs: number | null = null;
  readonly #startedMs: number;
  #bytesNoted = 0;

  /** @internal */
  constructor(id: string, conn: Conn) {
    this.id = id;
    this.conn = conn;
    this.remoteAddr = String(conn.remoteAddr);
    this.startTime = new Date();
    this.#startedMs = performance.now();
    this.activeMs = this.#startedMs;
  }

  /** When a byte last moved either way. While `forward` relays in the kernel: when that began, or a timeout last looked. */
  get lastActive(): Date {
    return new Date(performance.timeOrigin + this.activeMs);
  }

  /** Milliseconds from its beginning to now, or to its end. */
  get duration(): number {
    return (this.#endedMs ?? performance.now()) - this.#startedMs;
  }

  /** Bytes that came from the peer. */
  get bytesIn(): number {
    return this.conn.bytesRead;
  }

  /** Bytes that went to the peer. */
  get bytesOut(): number {
    return this.conn.bytesWritten;
  }

  get isClosed(): boolean {
    return this.#endedMs !== null;
  }

  /** The relay engine has the connection and keeps its idle timeout. @internal */
  get relayedElsewhere(): boolean {
    return handoverOf(this.conn)?.socket.given ?? false;
  }

  /** Bytes of a long write under way count as activity too. @internal */
  noteBytes(): void {
    const bytes = this.bytesIn + this.bytesOut;
    if (bytes !== this.#bytesNoted) this.touch();
    this.#bytesNoted = bytes;
  }

  /** @internal */
  touch(): void {
    this.activeMs = performance.now();
  }

  /** @internal */
  close(): void {
    this.#endedMs ??= performance.now();
  }
}
