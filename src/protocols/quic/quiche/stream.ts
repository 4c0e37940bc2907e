// A stream of a connection of quiche, as a wire. Made by connection.ts, which reads it and sends what is pending when it is
// served.
//
// Invariant: the handler is called from `serve` only, so never from within a call of its owner; nor after `reset` or `abort`,
// nor after onClose. quiche holds what its congestion window lets it send soon; what is beyond that is pending here.

import { QUICHE } from "../../../shared/limits.ts";
import type { Peer } from "../../live-rows.ts";
import { SILENT } from "../../wire/handler.ts";
import { Pending } from "../../wire/pending.ts";
import type { Watermarks, WireTls } from "../../wire/wire.ts";
import { QuicError, type QuicStream, type QuicStreamHandler } from "../transport.ts";
import { type Connection, SHUTDOWN_READ, SHUTDOWN_WRITE } from "./binding.ts";
import type { QuicheConnection } from "./connection.ts";
import { codeIn } from "./errors.ts";
import { SLAB } from "./slab.ts";

const EMPTY = new Uint8Array(0);
/** Of reset(): there is no code that all applications share. */
const NO_CODE = 0;

export class QuicheStream implements QuicStream {
  handler: QuicStreamHandler = SILENT;
  readonly id: number;
  readonly direction: "both" | "in" | "out";
  readonly connection: QuicheConnection;
  readonly early: boolean;
  readonly fd = -1;
  finished = false;
  readonly #native: Connection;
  readonly #marks: Watermarks;
  readonly #pending = new Pending();
  /** `write` has said false. */
  #full = false;
  #paused = false;
  /** Nothing more is read: the peer's FIN was read, or its direction was stopped or reset. */
  #readOver: boolean;
  /** Its FIN was read while the stream was paused. */
  #endHeld = false;
  /** The owner has ended its direction; the FIN is sent behind what is pending. */
  #ending = false;
  /** Nothing more is written: the FIN was handed over, or the direction was reset. */
  #writeOver: boolean;
  /** Code of a STOP_SENDING that the owner does not know of. */
  #stopped = -1;
  #gone = false;
  readonly #send = (buffer: Uint8Array, start: number, length: number): number =>
    this.#handOver(buffer.subarray(start, start + length), this.#ending);

  constructor(connection: QuicheConnection, id: number, marks: Watermarks, early: boolean) {
    this.connection = connection;
    this.#native = connection.native;
    this.#marks = marks;
    this.id = id;
    this.early = early;
    const local = (id & 1) === (connection.isServer ? 1 : 0);
    this.direction = (id & 2) === 0 ? "both" : local ? "out" : "in";
    this.#readOver = this.direction === "out";
    this.#writeOver = this.direction === "in";
    this.#ending = this.#writeOver;
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

  write(bytes: Uint8Array): boolean {
    return this.writeRange(bytes, 0, bytes.length);
  }

  writeRange(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#gone || this.#ending || this.#writeOver || this.#stopped >= 0) return false;
    if (start === end) return !this.#full;
    let taken = 0;
    if (this.#pending.bytes === 0) {
      const whole = start === 0 && end === bytes.length;
      taken = this.#handOver(whole ? bytes : bytes.subarray(start, end), false);
      if (taken < 0) return false;
    }
    if (start + taken < end) {
      this.#pending.push(bytes, start + taken, end);
      this.connection.block(this);
      this.#full ||= this.#pending.bytes >= this.#marks.highBytes;
    }
    return !this.#full;
  }

  /** @returns how much quiche took; -1: the peer has stopped the stream, of which the owner is told later. */
  #handOver(bytes: Uint8Array, fin: boolean): number {
    this.connection.touch();
    try {
      const taken = this.#native.streamSend(this.id, bytes, fin) ?? 0;
      if (fin && taken === bytes.length) this.#finished();
      return taken;
    } catch (error) {
      this.#stopped = Math.max(0, codeIn(error));
      this.connection.block(this);
      return -1;
    }
  }

  end(last: Uint8Array = EMPTY): void {
    if (this.#gone || this.#ending) return;
    this.#ending = true;
    let taken = 0;
    if (last.length > 0 && this.#pending.bytes === 0) taken = this.#handOver(last, true);
    if (taken < 0 || this.#writeOver) return;
    if (taken < last.length) this.#pending.push(last, taken, last.length);
    this.connection.block(this);
  }

  /** quiche has the FIN. */
  #finished(): void {
    this.#writeOver = true;
    if (this.#readOver) this.connection.block(this);
  }

  /** The FIN is due and has no bytes to go with. */
  get #endsAlone(): boolean {
    return this.#ending && !this.#writeOver && this.#stopped < 0 && this.#pending.bytes === 0;
  }

  /**
   * Hands such a FIN over. Only when quiche has written all that it had, and there is room for more: it takes a stream whose
   * bytes are all acknowledged for complete as soon as it knows of a FIN, and forgets it with the next acknowledgement, sent
   * or not.
   * @returns whether it is to be sent.
   */
  finish(): boolean {
    if (this.#gone || !this.#endsAlone || !this.#hasRoom()) return false;
    this.connection.ends.arm();
    this.#handOver(EMPTY, true);
    return this.#writeOver;
  }

  /** Of the congestion window and the peer's. */
  #hasRoom(): boolean {
    try {
      return this.#native.streamCapacity(this.id) >= QUICHE.endRoomBytes;
    } catch {
      return true; // stopped by the peer: quiche says so when it is sent to
    }
  }

  reset(): void {
    this.abort(NO_CODE);
  }

  abort(code: number): void {
    if (this.#gone) return;
    this.#shutDown(code, code);
    this.forget();
  }

  stopSending(code: number): void {
    if (this.#gone || this.#readOver) return;
    this.#stopReading(code);
    this.#endHeld = false;
    this.connection.block(this); // it may be over
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#gone) return;
    if (this.#endHeld) this.connection.block(this);
    this.connection.touch();
  }

  /** Nothing is told any more. */
  forget(): void {
    this.#gone = true;
    this.handler = SILENT;
    this.#pending.clear();
    this.connection.drop(this);
  }

  /** The connection is gone. */
  lose(error: QuicError): void {
    const { handler } = this;
    if (this.#gone) return;
    this.forget();
    handler.onClose(error);
  }

  /** There is something to read, or the peer has reset it. @returns the bytes that were told of. */
  read(): number {
    let told = 0;
    while (!this.#gone && !this.#readOver) {
      const into = this.#paused ? EMPTY : SLAB.rest(); // a reset is seen without reading
      let got: [number, boolean] | null;
      try {
        got = this.#native.streamRecv(this.id, into);
      } catch (error) {
        if (this.#paused) this.connection.forgive();
        this.#wasReset(Math.max(0, codeIn(error)));
        break;
      }
      if (got === null) break;
      const [bytes, fin] = got;
      told += bytes;
      this.finished = fin;
      if (bytes > 0) this.handler.onData(SLAB.take(bytes));
      if (fin) this.#sawEnd();
      if (this.#paused || bytes < into.length) break; // that was all
    }
    return told;
  }

  #sawEnd(): void {
    if (this.#gone || this.#readOver) return;
    this.#readOver = true;
    this.#endHeld = true;
    this.#tellEnd();
  }

  #tellEnd(): void {
    if (this.#gone || this.#paused || !this.#endHeld) return;
    this.#endHeld = false;
    this.handler.onEnd();
    this.#settle();
  }

  /** Both directions are over. */
  #settle(): void {
    if (this.#gone || this.#endHeld || !this.#readOver || !this.#writeOver) return;
    const { handler } = this;
    this.forget();
    handler.onClose(null);
  }

  #wasReset(code: number): void {
    const { handler } = this;
    this.#readOver = true;
    // What was ended in order may still be on its way, and read.
    if (!this.#writeOver) this.#shutDown(code, code);
    this.forget();
    const message = `the peer reset the stream with code ${code}`;
    handler.onClose(new QuicError("ERR_QUIC_RESET", message, code));
  }

  /** It is written to, and does not know of a stop yet. */
  get mayBeStopped(): boolean {
    return !this.#writeOver && this.#stopped < 0;
  }

  /** The peer wants no more (STOP_SENDING); quiche has answered with RESET_STREAM. */
  wasStopped(code: number): void {
    if (this.#gone || this.#writeOver || this.#stopped >= 0) return;
    this.#stopped = code;
    this.serve();
  }

  /** It asked for it with `connection.block`: pending bytes, or something to tell. @returns whether it still waits for room. */
  serve(): boolean {
    if (this.#gone) return false;
    if (this.#stopped >= 0 && !this.#tellStopped()) return false;
    if (this.#pending.bytes > 0) this.#pending.flush(this.#send);
    if (this.#stopped >= 0 && !this.#tellStopped()) return false;
    if (this.#full && this.#pending.bytes <= this.#marks.lowBytes) {
      this.#full = false;
      if (!this.#ending) this.handler.onDrain();
    }
    this.#tellEnd();
    this.#settle();
    return !this.#gone && (this.#endsAlone || this.#pending.bytes > 0);
  }

  /** @returns false: that was the stream's end. */
  #tellStopped(): boolean {
    const code = this.#stopped;
    this.#stopped = -1;
    if (this.#writeOver) return true; // it came behind our FIN
    this.#ending = this.#writeOver = true;
    this.#full = false;
    this.#pending.clear();
    const { handler } = this;
    if (handler.onStopSending !== undefined) {
      handler.onStopSending(code);
      return !this.#gone;
    }
    this.#shutDown(code, code);
    this.forget();
    const message = `the peer stopped the stream with code ${code}`;
    handler.onClose(new QuicError("ERR_QUIC_RESET", message, code));
    return false;
  }

  #shutDown(readCode: number, writeCode: number): void {
    if (!this.#readOver) this.#stopReading(readCode);
    if (this.direction !== "in") this.#shutdown(SHUTDOWN_WRITE, writeCode);
    this.#ending = this.#writeOver = true;
    this.#endHeld = false;
    this.connection.touch();
  }

  #stopReading(code: number): void {
    this.#readOver = true;
    if (this.#paused) this.connection.forgive();
    this.#shutdown(SHUTDOWN_READ, code);
  }

  #shutdown(direction: number, code: number): void {
    try {
      this.#native.streamShutdown(this.id, direction, code);
    } catch {
      // quiche has forgotten it: both sides know that it is over
    }
  }
}
