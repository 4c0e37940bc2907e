// Bytes that wait for the system to take them, in the order of their writes. Holds references, not copies: its size is
// what callers pass without awaiting. Used by socket-conn.ts.

import type { ProxyError } from "../shared/errors.ts";

/** What is needed of a Bun socket. `write` returns how many bytes the system took, -1 once the socket is closed. */
export interface ByteSink {
  write(data: Uint8Array): number;
  shutdown(): void;
}

interface Pending {
  rest: Uint8Array;
  resolve(): void;
  reject(error: ProxyError): void;
}

export class WriteQueue {
  /** Bytes that the system has taken. */
  bytes = 0;
  /** A FIN was asked for: nothing more may be written. */
  ended = false;
  readonly #sink: ByteSink;
  readonly #pending: Pending[] = [];
  #error: ProxyError | null = null;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  get idle(): boolean {
    return this.#pending.length === 0;
  }

  write(data: Uint8Array): Promise<void> {
    if (this.#error !== null) return Promise.reject(this.#error);
    const rest = this.idle ? this.#send(data) : data;
    if (rest.length === 0) return Promise.resolve();
    return this.#wait(rest);
  }

  /** Sends the FIN once everything before is taken. */
  async end(): Promise<void> {
    if (this.ended) return this.flushed();
    this.ended = true;
    await this.flushed();
    if (this.#error === null) this.#sink.shutdown();
  }

  /** Resolves when nothing waits. */
  async flushed(): Promise<void> {
    if (this.#error !== null) throw this.#error;
    // An empty entry is taken when its turn comes: it marks a place in the order.
    if (!this.idle) await this.#wait(new Uint8Array(0));
  }

  /** The socket takes bytes again. */
  drain(): void {
    for (let head = this.#pending[0]; head !== undefined; head = this.#pending[0]) {
      head.rest = this.#send(head.rest);
      if (head.rest.length > 0) return;
      this.#pending.shift();
      head.resolve();
    }
  }

  /** Nothing can be written any more. */
  fail(error: ProxyError): void {
    this.#error ??= error;
    for (const { reject } of this.#pending.splice(0)) reject(this.#error);
  }

  #wait(rest: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => this.#pending.push({ rest, resolve, reject }));
  }

  #send(data: Uint8Array): Uint8Array {
    if (data.length === 0) return data;
    // -1: the socket is closed, and its close event, which says why, fails what waits here.
    const taken = Math.max(0, this.#sink.write(data));
    this.bytes += taken;
    return taken === 0 ? data : data.subarray(taken);
  }
}
