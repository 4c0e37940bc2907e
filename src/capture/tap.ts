// The connection with a client, as it is, but everything that passes is told to a trace, and its output may hold it up: that is
// the capture's backpressure. Made by relay.ts; the pump uses it like any other connection. It has no handover, so that its
// bytes are never relayed in the kernel, where nobody would see them.

import type { Addr } from "../library/addr.ts";
import type { Conn } from "../library/conn.ts";
import { ProxyError } from "../shared/errors.ts";
import type { Sink } from "./sink.ts";
import type { Trace } from "./trace.ts";

export class TappedConn implements Conn {
  readonly #conn: Conn;
  readonly #trace: Trace;
  readonly #sink: Sink;
  /** This side has ended it: what fails now says nothing about the client. */
  #over = false;
  /** The client has sent everything. */
  #ended = false;

  constructor(conn: Conn, trace: Trace, sink: Sink) {
    this.#conn = conn;
    this.#trace = trace;
    this.#sink = sink;
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
    const chunk = await this.#watched(this.#conn.read());
    this.#ended ||= chunk === null;
    await this.#sink.write(
      chunk === null ? this.#trace.ended("up") : this.#trace.data("up", chunk),
    );
    return chunk;
  }

  unread(data: Uint8Array): void {
    this.#conn.unread(data);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    for (let chunk = await this.read(); chunk !== null; chunk = await this.read()) yield chunk;
  }

  /** Told before it is sent: the client's answer must not come before what it answers. */
  async write(data: Uint8Array | string): Promise<void> {
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    await this.#sink.write(this.#trace.data("down", bytes));
    await this.#watched(this.#conn.write(bytes));
    await this.#sink.write(this.#trace.delivered());
  }

  async closeWrite(): Promise<void> {
    await this.#sink.write(this.#trace.ended("down"));
    await this.#watched(this.#conn.closeWrite().catch((error) => this.#forgive(error)));
    await this.#sink.write(this.#trace.delivered());
  }

  pause(): void {
    this.#conn.pause();
  }

  resume(): void {
    this.#conn.resume();
  }

  close(): Promise<void> {
    this.#over = true;
    return this.#conn.close();
  }

  /** The pump's, when either side has failed; the client's failure has been told by then. */
  reset(): void {
    this.resetBecause("the target broke the connection off");
  }

  resetBecause(reason: string): void {
    if (!this.#over) void this.#sink.write(this.#trace.reset("down", reason));
    this.#over = true;
    this.#conn.reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A client of a unix socket that closes it ends both directions at once, in order: there is nothing left to end. */
  #forgive(error: unknown): void {
    const gone = error instanceof ProxyError && error.code === "ERR_CLOSED";
    if (!gone || !this.#ended || this.#over) throw error;
  }

  async #watched<T>(operation: Promise<T>): Promise<T> {
    try {
      return await operation;
    } catch (error) {
      if (!this.#over) void this.#sink.write(this.#trace.reset("up", "the client reset it"));
      this.#over = true;
      throw error;
    }
  }
}
