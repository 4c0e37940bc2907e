// A connection as it is, but every byte that moves is noted in its ConnInfo. Made by ConnManager.wrapConn.

import type { Addr } from "./addr.ts";
import type { ConnInfo } from "./conn-info.ts";
import type { Conn } from "./conn.ts";
import { HANDOVER, type Handover, handoverOf } from "./handover.ts";

export class ManagedConn implements Conn {
  readonly #conn: Conn;
  readonly #info: ConnInfo;
  readonly #idleMs: number;

  constructor(conn: Conn, info: ConnInfo, idleMs: number) {
    this.#conn = conn;
    this.#info = info;
    this.#idleMs = idleMs;
  }

  get localAddr(): Addr {
    return this.#conn.localAddr;
  }

  get remoteAddr(): Addr {
    return this.#conn.remoteAddr;
  }

  get fd(): number | null {
    return this.#conn.fd;
  }

  get bytesRead(): number {
    return this.#conn.bytesRead;
  }

  get bytesWritten(): number {
    return this.#conn.bytesWritten;
  }

  get closed(): Promise<void> {
    return this.#conn.closed;
  }

  async read(): Promise<Uint8Array | null> {
    const chunk = await this.#conn.read();
    this.#info.touch();
    return chunk;
  }

  unread(data: Uint8Array): void {
    this.#conn.unread(data);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    for (let chunk = await this.read(); chunk !== null; chunk = await this.read()) yield chunk;
  }

  async write(data: Uint8Array | string): Promise<void> {
    await this.#conn.write(data);
    this.#info.touch();
  }

  closeWrite(): Promise<void> {
    return this.#conn.closeWrite();
  }

  pause(): void {
    this.#conn.pause();
  }

  resume(): void {
    this.#conn.resume();
  }

  close(): Promise<void> {
    return this.#conn.close();
  }

  reset(): void {
    this.#conn.reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  [HANDOVER](): Handover | null {
    const handover = handoverOf(this.#conn);
    if (handover === null) return null;
    const idles = [handover.idleMs, this.#idleMs].filter((ms) => ms > 0);
    return { socket: handover.socket, idleMs: idles.length > 0 ? Math.min(...idles) : 0 };
  }
}
