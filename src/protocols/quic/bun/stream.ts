// A stream of node:quic as a wire. The runtime's writer takes what fits its window; the rest is pending here, as on any other
// wire. Reading is an iterator that is not asked for more while the owner has paused.
//
// node:quic itself goes on receiving then, whatever its windows say: what waits (`unread`) is bounded by the connection, which
// breaks off the stream with the most of it. The driver `quiche` holds the peer back instead.
//
// Invariant: the handler is never called from within a call of its owner, nor after `reset`, nor after onClose.

import type { QuicStream as NodeStream } from "node:quic";

import { BUN_QUIC } from "../../../shared/limits.ts";
import type { Peer } from "../../live-rows.ts";
import { SILENT } from "../../wire/handler.ts";
import { Pending } from "../../wire/pending.ts";
import type { Watermarks, WireTls } from "../../wire/wire.ts";
import { QuicError, type QuicStream, type QuicStreamHandler } from "../transport.ts";
import type { BunQuicConnection } from "./connection.ts";
import { streamError } from "./errors.ts";

/** Of the runtime's writers: a promise for room, or null. */
const DRAINABLE = Symbol.for("Stream.drainableProtocol");

interface RuntimeWriter {
  /** null: nothing is taken any more. */
  readonly desiredSize: number | null;
  writeSync(chunk: Uint8Array): boolean;
  endSync(): number;
  [DRAINABLE](): Promise<unknown> | null;
}

/** What the typings leave out. */
type RuntimeStream = NodeStream & {
  resetStream(code: bigint): void;
  stopSending(code: bigint): void;
};

export class BunQuicStream implements QuicStream {
  handler: QuicStreamHandler = SILENT;
  readonly id: number;
  readonly direction: "both" | "in" | "out";
  readonly connection: BunQuicConnection;
  readonly fd = -1;
  /** The runtime does not tell. */
  readonly finished = false;
  early = false;
  readonly #marks: Watermarks;
  readonly #pending = new Pending();
  /** null: the runtime has not given it yet, a microtask after it was opened. */
  #stream: RuntimeStream | null = null;
  #writer: RuntimeWriter | null = null;
  /** The writer was asked when it has room. */
  #waiting = false;
  /** `write` has said false. */
  #full = false;
  #paused = false;
  #onResume: (() => void) | null = null;
  /** Bytes that the owner was given. */
  #taken = 0;
  #ending = false;
  #endSent: boolean;
  #ended: boolean;
  #unwanted = false;
  #gone = false;
  readonly #send = (buffer: Uint8Array, start: number, length: number): number =>
    this.#give(buffer, start, Math.min(length, BUN_QUIC.writeBytes));

  constructor(
    connection: BunQuicConnection,
    id: number,
    direction: QuicStream["direction"],
    marks: Watermarks,
  ) {
    this.connection = connection;
    this.id = id;
    this.direction = direction;
    this.#marks = marks;
    this.#endSent = direction === "in";
    this.#ended = direction === "out";
  }

  get peer(): Peer {
    return this.connection.peer;
  }

  get local(): Peer | null {
    return this.connection.local;
  }

  get tls(): WireTls {
    return this.connection.tls;
  }

  get pending(): number {
    return this.#pending.bytes;
  }

  /** The runtime has it now. */
  attach(stream: NodeStream): void {
    this.#stream = stream as RuntimeStream;
    this.early = stream.early;
    Object.assign(stream, {
      onerror: () => {}, // `onreset` and the end of the connection say it all
      onreset: (error: unknown) => this.#wasReset(error),
    });
    if (this.direction !== "in") {
      stream.highWaterMark = BUN_QUIC.writeBytes;
      this.#writer = stream.writer as unknown as RuntimeWriter;
    }
    if (this.direction !== "out") void this.#read(stream);
    if (this.#gone) return;
    this.#flush();
  }

  // Writing.

  write(bytes: Uint8Array): boolean {
    return this.writeRange(bytes, 0, bytes.length);
  }

  writeRange(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#gone || this.#ending || this.direction === "in") return false;
    let from = start;
    while (this.#pending.bytes === 0 && from < end) {
      const taken = this.#give(bytes, from, Math.min(end - from, BUN_QUIC.writeBytes));
      if (taken === 0) break;
      from += taken;
    }
    if (from < end) this.#pending.push(bytes, from, end);
    this.#full ||= this.#pending.bytes >= this.#marks.highBytes;
    return !this.#full;
  }

  /** @returns how many bytes the runtime took. */
  #give(bytes: Uint8Array, start: number, length: number): number {
    const writer = this.#writer;
    if (writer === null || this.#waiting) return 0;
    if ((writer.desiredSize ?? 0) > 0 && writer.writeSync(bytes.slice(start, start + length))) {
      return length;
    }
    const room = writer[DRAINABLE]();
    if (room === null) return 0;
    this.#waiting = true;
    const go = (): void => {
      this.#waiting = false;
      this.#flush();
    };
    room.then(go, go);
    return 0;
  }

  #flush(): void {
    while (!this.#gone && this.#pending.bytes > 0) {
      const before = this.#pending.bytes;
      this.#pending.flush(this.#send);
      if (this.#pending.bytes === before) break;
    }
    if (this.#gone) return;
    if (this.#ending && this.#pending.bytes === 0) this.#shutdown();
    if (!this.#full || this.#pending.bytes > this.#marks.lowBytes) return;
    this.#full = false;
    queueMicrotask(() => {
      if (!this.#gone) this.handler.onDrain();
    });
  }

  end(last?: Uint8Array): void {
    if (this.#ending || this.#gone) return;
    if (last !== undefined) this.write(last);
    this.#ending = true;
    if (this.#pending.bytes === 0) this.#shutdown();
  }

  #shutdown(): void {
    if (this.#endSent || this.#writer === null || this.#waiting) return;
    this.#endSent = true;
    this.#writer.endSync();
    queueMicrotask(() => this.#checkOver());
  }

  reset(): void {
    this.abort(0);
  }

  abort(code: number): void {
    if (this.#gone) return;
    this.handler = SILENT;
    this.#leave();
    this.#break(code);
  }

  #break(code: number): void {
    const stream = this.#stream;
    if (stream === null || stream.destroyed) return;
    if (!this.#endSent) stream.resetStream(BigInt(code));
    if (!this.#ended) stream.stopSending(BigInt(code));
  }

  stopSending(code: number): void {
    if (this.#gone || this.#ended) return;
    this.#unwanted = true;
    this.#ended = true;
    this.#stream?.stopSending(BigInt(code));
    this.#release();
    queueMicrotask(() => this.#checkOver());
  }

  // Reading.

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#release();
  }

  #release(): void {
    const go = this.#onResume;
    this.#onResume = null;
    go?.();
  }

  async #read(stream: NodeStream): Promise<void> {
    try {
      for await (const batch of stream) {
        for (const chunk of batch) {
          await this.#allowed();
          if (this.#gone || this.#unwanted) return;
          this.#taken += chunk.length;
          this.handler.onData(chunk);
        }
      }
    } catch {
      return; // `onreset` or the end of the connection says why
    }
    if (await this.#wasCut(stream)) return;
    await this.#allowed();
    if (this.#gone || this.#unwanted) return;
    this.#ended = true;
    this.handler.onEnd();
    this.#checkOver();
  }

  /**
   * The iterator also ends when the connection does, some milliseconds before anybody is told: that is no FIN. A stream that is
   * gone has ended both ways or was cut off; which of them, the connection tells.
   */
  async #wasCut(stream: NodeStream): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve));
    if (!stream.destroyed) return false;
    if (!this.#endSent) return true;
    await new Promise((resolve) => setTimeout(resolve, BUN_QUIC.cutLookMs));
    return this.connection.ended;
  }

  /** Settles when the owner reads. */
  #allowed(): Promise<void> | undefined {
    if (!this.#paused || this.#gone || this.#unwanted) return undefined;
    return new Promise((resolve) => (this.#onResume = resolve));
  }

  /** Bytes that wait for its owner to read. */
  get unread(): number {
    if (this.#gone || this.#stream === null || this.#ended) return 0;
    return Number(this.#stream.stats.bytesReceived) - this.#taken;
  }

  // Ends.

  /** STOP_SENDING, after which the runtime's writer takes nothing, or RESET_STREAM. */
  #wasReset(error: unknown): void {
    if (this.#gone) return;
    const stopped = !this.#endSent && this.#writer !== null && this.#writer.desiredSize === null;
    const { onStopSending } = this.handler;
    if (stopped && onStopSending !== undefined) {
      const { wireCode } = streamError(error, "");
      this.#endSent = this.#ending = true;
      this.#pending.clear();
      onStopSending.call(this.handler, wireCode);
      return this.#checkOver();
    }
    const reason = streamError(error, stopped ? "it stopped the stream" : "it reset the stream");
    const code = Math.max(0, reason.wireCode);
    this.closed(reason);
    this.#break(code);
  }

  #checkOver(): void {
    if (this.#ended && this.#endSent && !this.#gone) this.closed(null);
  }

  /** It is over; with an error, its connection may be. */
  closed(error: QuicError | null): void {
    if (this.#gone) return;
    const { handler } = this;
    this.#leave();
    handler.onClose(error);
  }

  /** It takes up too much. */
  drop(): void {
    const text = "too much waited for its reader: the driver bun cannot hold back who sends";
    this.closed(new QuicError("ERR_QUIC_PROTOCOL", text));
    this.#break(0);
  }

  #leave(): void {
    this.#gone = true;
    this.#pending.clear();
    this.#release();
    this.connection.left(this);
  }
}
