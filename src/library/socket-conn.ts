// The connection that `listen` and `dial` return: a Bun socket with a bounded queue of unread bytes.
// Invariant: the socket is paused unless someone has begun to read and fewer than `highWatermark` bytes are unread. So a
// connection that nobody reads holds no bytes, and its descriptor can be given to the relay engine as it is.

import type { Socket, SocketHandler } from "bun";

import { messageOf, ProxyError } from "../shared/errors.ts";
import { type Addr, ipAddr, unixAddr } from "./addr.ts";
import type { Conn } from "./conn.ts";
import { HANDOVER, type Handover } from "./handover.ts";
import { WriteQueue } from "./write-queue.ts";

/** Bun 1.4.5's sockets have more than bun-types declares. */
export type BunSocket = Socket<SocketConn | undefined> & {
  readonly fd: number;
  pause(): void;
  resume(): void;
  /** close(2), without shutdown(2) and without SO_LINGER. */
  close(): void;
  setNoDelay(on: boolean): boolean;
  setKeepAlive(on: boolean, delayMs: number): boolean;
};

/** Bounds of the unread bytes. Bun reads up to 512 KiB at once, by which `highWatermark` may be exceeded. */
export interface Watermarks {
  readonly highWatermark: number;
  readonly lowWatermark: number;
}

interface Reader {
  resolve(chunk: Uint8Array | null): void;
  reject(error: ProxyError): void;
}

const NOTHING = [0, 0] as const;

export class SocketConn implements Conn {
  readonly localAddr: Addr;
  readonly remoteAddr: Addr;
  readonly closed: Promise<void>;
  readonly #socket: BunSocket;
  readonly #marks: Watermarks;
  readonly #writes: WriteQueue;
  readonly #resolveClosed: () => void;
  readonly #queue: Uint8Array[] = [];
  #unread = 0;
  #reader: Reader | null = null;
  #watcher: (() => void) | null = null;
  /** Someone reads: bytes are taken from the system ahead of the next read. */
  #begun = false;
  #held = false;
  #flowing = false;
  /** The peer's FIN was received. */
  #ended = false;
  /** Why the peer's side is gone; told after the bytes that came before. */
  #failure: ProxyError | null = null;
  /** Why this side may not use the connection any more; told at once. */
  #refusal: ProxyError | null = null;
  #over = false;
  /** The relay engine has it. */
  #given = false;
  #resetGiven: () => void = () => {};
  /** What it has read from and written to the peer there. */
  #relayed: () => readonly [number, number] = () => NOTHING;
  #bytesRead = 0;

  /** Dispatches a socket's events to the connection in its `data`; sockets that were refused have none. */
  static readonly handlers: SocketHandler<SocketConn | undefined> = {
    data({ data: conn }, chunk) {
      if (conn !== undefined) conn.#onData(chunk);
    },
    end({ data: conn }) {
      if (conn !== undefined) conn.#onEnd();
    },
    drain({ data: conn }) {
      if (conn !== undefined) conn.#writes.drain();
    },
    close({ data: conn }, error) {
      if (conn !== undefined) conn.#onClose(error);
    },
    error({ data: conn }, error) {
      if (conn !== undefined) conn.#fail(error);
    },
  };

  /** @param unixPath the file of a unix socket, null for TCP. */
  constructor(socket: BunSocket, marks: Watermarks, unixPath: string | null) {
    this.#socket = socket;
    this.#marks = marks;
    this.#writes = new WriteQueue(socket);
    const unix = unixPath === null ? null : unixAddr(unixPath);
    // A peer that is gone already has no address any more: Bun says undefined, whatever its types say.
    this.localAddr = unix ?? ipAddr(socket.localAddress ?? "", socket.localPort ?? 0);
    this.remoteAddr = unix ?? ipAddr(socket.remoteAddress ?? "", socket.remotePort ?? 0);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    socket.data = this;
    socket.pause();
  }

  get fd(): number | null {
    const gone = this.#over || this.#given || process.platform === "win32";
    // Bun says -1 once it has closed the socket, which may be before its close event.
    return gone || this.#socket.fd < 0 ? null : this.#socket.fd;
  }

  get bytesRead(): number {
    return this.#bytesRead + this.#relayed()[0];
  }

  get bytesWritten(): number {
    return this.#writes.bytes + this.#relayed()[1];
  }

  /** Bytes that came and were not read. */
  get unreadBytes(): number {
    return this.#unread;
  }

  /** Usable, writable, with no call of this side under way. */
  get quiet(): boolean {
    const usable = !this.#over && this.#refusal === null && this.#failure === null;
    return usable && this.#reader === null && this.#writes.idle && !this.#writes.ended;
  }

  /** pause() was called: nothing may be taken from the system. */
  get held(): boolean {
    return this.#held;
  }

  /** The relay engine has it. */
  get given(): boolean {
    return this.#given;
  }

  [HANDOVER](): Handover {
    return { socket: this, idleMs: 0 };
  }

  /** Open both ways. The peer's FIN is only known while someone reads or watches. */
  get open(): boolean {
    return !this.#over && this.#refusal === null && !this.#ended && !this.#writes.ended;
  }

  read(): Promise<Uint8Array | null> {
    if (this.#refusal !== null) return Promise.reject(this.#refusal);
    const chunk = this.#take();
    if (chunk !== null) return Promise.resolve(chunk);
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#ended) return Promise.resolve(null);
    if (this.#reader !== null) {
      return Promise.reject(
        new ProxyError("ERR_STATE", "another read of this connection is waiting"),
      );
    }
    this.#begun = true;
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
      this.#flow();
    });
  }

  /** What is unread here, without waiting; null if nothing is. */
  #take(): Uint8Array | null {
    const chunk = this.#queue.shift();
    if (chunk === undefined) return null;
    this.#unread -= chunk.length;
    this.#flow();
    return chunk;
  }

  /** Everything unread here; no more is taken from the system. */
  takeUnread(): Uint8Array[] {
    this.#begun = false;
    this.#unread = 0;
    this.#flow();
    return this.#queue.splice(0);
  }

  unread(data: Uint8Array): void {
    if (this.#refusal !== null) throw this.#refusal;
    if (data.length === 0) return;
    this.#queue.unshift(data);
    this.#unread += data.length;
    if (this.#reader !== null) {
      const { resolve } = this.#reader;
      this.#reader = null;
      resolve(this.#take());
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    for (let chunk = await this.read(); chunk !== null; chunk = await this.read()) yield chunk;
  }

  write(data: Uint8Array | string): Promise<void> {
    if (this.#refusal !== null) return Promise.reject(this.#refusal);
    if (this.#writes.ended) {
      return Promise.reject(new ProxyError("ERR_CLOSED", "this side of the connection has ended"));
    }
    return this.#writes.write(typeof data === "string" ? Buffer.from(data) : data);
  }

  closeWrite(): Promise<void> {
    return this.#refusal !== null ? Promise.reject(this.#refusal) : this.#writes.end();
  }

  pause(): void {
    this.#held = true;
    this.#flow();
  }

  resume(): void {
    this.#held = false;
    this.#flow();
  }

  async close(): Promise<void> {
    if (this.#refusal === null) {
      this.#refuse(new ProxyError("ERR_CLOSED", "the connection is closed"));
      // A failure to send what was written is told to whoever wrote it.
      await this.#writes.flushed().catch(() => {});
      if (!this.#over) this.#socket.close();
    }
    return this.closed;
  }

  reset(): void {
    if (this.#given) return this.#resetGiven();
    this.#refuse(new ProxyError("ERR_CLOSED", "the connection was reset from this side"));
    if (!this.#over) this.#socket.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Calls back at the first sign of life: bytes, FIN or the end. Until `unwatch`. */
  watch(onLife: () => void): void {
    this.#watcher = onLife;
    this.#begun = true;
    this.#flow();
  }

  unwatch(): void {
    this.#watcher = null;
    this.#begun = false;
    this.#flow();
  }

  setNoDelay(on: boolean): void {
    if (!this.#over) this.#socket.setNoDelay(on);
  }

  /** SO_KEEPALIVE through the runtime, for platforms without a descriptor to set options on. */
  setKeepAlive(ms: number): void {
    if (!this.#over) this.#socket.setKeepAlive(ms > 0, ms);
  }

  /**
   * Lets go of the descriptor without a word to the peer; a duplicate of it lives on in the relay engine.
   * @param reset ends the relay that now owns the connection.
   * @param relayed how many bytes that has read from and written to the peer, also after its end.
   */
  give(reset: () => void, relayed: () => readonly [number, number]): void {
    this.#given = true;
    this.#resetGiven = reset;
    this.#relayed = relayed;
    this.#refusal = new ProxyError("ERR_STATE", "the connection was given to forward");
    this.#socket.close();
  }

  /** The relay that got the connection has ended. */
  relayed(): void {
    const last = this.#relayed();
    this.#relayed = () => last;
    this.#given = false;
    this.#refusal = new ProxyError("ERR_CLOSED", "the connection is closed");
    this.#resolveClosed();
  }

  /** Takes bytes from the system or stops, as the invariant above says. */
  #flow(): void {
    if (this.#over || this.#ended) return;
    const { highWatermark, lowWatermark } = this.#marks;
    const room = this.#unread < (this.#flowing ? highWatermark : lowWatermark + 1);
    const wanted = this.#begun && !this.#held && this.#refusal === null && room;
    if (wanted === this.#flowing) return;
    this.#flowing = wanted;
    if (wanted) this.#socket.resume();
    else this.#socket.pause();
  }

  #onData(chunk: Uint8Array): void {
    this.#bytesRead += chunk.length;
    if (this.#refusal !== null) return;
    if (this.#reader !== null) {
      const { resolve } = this.#reader;
      this.#reader = null;
      resolve(chunk);
    } else {
      this.#queue.push(chunk);
      this.#unread += chunk.length;
      this.#flow();
    }
    this.#watcher?.();
  }

  #onEnd(): void {
    this.#ended = true;
    this.#reader?.resolve(null);
    this.#reader = null;
    this.#watcher?.();
  }

  #onClose(error: Error | undefined): void {
    this.#over = true;
    if (this.#given) return;
    if (error !== undefined) this.#fail(error);
    // After our own FIN the peer's arrives as a close without an end event.
    else if (!this.#ended) this.#onEnd();
    this.#writes.fail(
      this.#failure ?? this.#refusal ?? new ProxyError("ERR_CLOSED", "the connection is over"),
    );
    this.#watcher?.();
    this.#resolveClosed();
  }

  #fail(cause: Error): void {
    const peer = `the connection with ${this.remoteAddr} was reset`;
    this.#failure ??= new ProxyError("ERR_RESET", `${peer}: ${messageOf(cause)}`, { cause });
    this.#reader?.reject(this.#failure);
    this.#reader = null;
    this.#writes.fail(this.#failure);
  }

  #refuse(refusal: ProxyError): void {
    this.#refusal = refusal;
    this.#queue.length = 0;
    this.#unread = 0;
    this.#reader?.reject(refusal);
    this.#reader = null;
    this.#watcher = null;
    this.#flow();
  }
}
