// What one connection sends: frames are written one behind the other into a buffer, and what one turn of the event loop brought
// goes out in one write of the wire, also when answers came from several backends. Buffers are lent while there is something
// in them; a connection that rests has none. With 256 streams to an HTTP/1.1 backend, 15 answers leave in one write; flushing in
// a microtask made it one each, since the runtime runs those between two sockets, and cost 30 % more CPU.
//
// Invariant: bytes leave in the order in which they were written. Called by the session alone.

import { H2 } from "../../../shared/limits.ts";
import type { Wire } from "../../wire/wire.ts";
import * as C from "./constants.ts";

const NOTHING = new Uint8Array(0);
const free: Uint8Array<ArrayBuffer>[] = [];

/** Outputs that have something to send at the end of this turn. */
let waiting: Output[] = [];
let spare: Output[] = [];

function flushAll(): void {
  const outputs = waiting;
  waiting = spare;
  for (let i = 0; i < outputs.length; i++) outputs[i]!.endTurn();
  outputs.length = 0;
  spare = outputs;
}

export class Output {
  readonly #wire: Wire;
  buffer: Uint8Array = NOTHING;
  used = 0;
  /** The wire said stop. Its owner says when that is over. */
  blocked = false;
  /** Bytes that the wire held when it said so. */
  blockedAt = 0;
  #scheduled = false;
  /** Where the last frame in the buffer that may end its stream begins; -1 if there is none. */
  #lastAt = -1;
  #lastStream = 0;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** @param bytes at most H2.outputBytes. @returns where they may be written; `used` is behind them. */
  reserve(bytes: number): number {
    if (this.used + bytes > this.buffer.length) {
      if (this.used > 0) this.flush();
      this.buffer = free.pop() ?? new Uint8Array(H2.outputBytes);
    }
    if (!this.#scheduled) this.#schedule();
    const at = this.used;
    this.used += bytes;
    return at;
  }

  #schedule(): void {
    this.#scheduled = true;
    if (waiting.length === 0) setImmediate(flushAll);
    waiting.push(this);
  }

  endTurn(): void {
    this.#scheduled = false;
    this.flush();
  }

  /** Gives everything to the wire. */
  flush(): void {
    const { used, buffer } = this;
    if (used === 0) return;
    this.used = 0;
    this.#lastAt = -1;
    this.buffer = NOTHING;
    if (!this.#wire.writeRange(buffer, 0, used) && !this.blocked) {
      this.blocked = true;
      this.blockedAt = this.#wire.pending;
    }
    if (free.length < H2.outputsKept) free.push(buffer as Uint8Array<ArrayBuffer>);
  }

  /** Nothing goes out any more. */
  discard(): void {
    this.used = 0;
    this.#lastAt = -1;
  }

  /** Writes a frame's header at `at`, where there is room for it. */
  header(at: number, length: number, type: number, flags: number, stream: number): void {
    const { buffer } = this;
    buffer[at] = length >>> 16;
    buffer[at + 1] = length >>> 8;
    buffer[at + 2] = length;
    buffer[at + 3] = type;
    buffer[at + 4] = flags;
    this.#uint32(at + 5, stream);
    if (type <= C.HEADERS) {
      this.#lastAt = at;
      this.#lastStream = stream;
    }
  }

  /**
   * Sets END_STREAM on the stream's last frame, if that has not left yet and was the last that could bear it.
   * @returns false if it has to be said by a frame of its own.
   */
  endLast(stream: number): boolean {
    if (this.#lastAt < 0 || this.#lastStream !== stream) return false;
    this.buffer[this.#lastAt + 4]! |= C.END_STREAM;
    return true;
  }

  /** Bytes [start, end) of a stream, no more than a frame may have. */
  data(stream: number, flags: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    const at = this.reserve(C.FRAME_HEADER_BYTES + length);
    this.header(at, length, C.DATA, flags, stream);
    const to = at + C.FRAME_HEADER_BYTES;
    if (length > 48) {
      this.buffer.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), to);
    } else for (let i = 0; i < length; i++) this.buffer[to + i] = bytes[start + i]!;
  }

  /** A field block that does not fit into one frame, or is not in the buffer. */
  block(stream: number, flags: number, block: Uint8Array): void {
    let type = C.HEADERS;
    let at = 0;
    do {
      const end = Math.min(block.length, at + C.FIRST_FRAME_SIZE);
      const last = end === block.length ? C.END_HEADERS : 0;
      const to = this.reserve(C.FRAME_HEADER_BYTES + end - at);
      this.header(to, end - at, type, last | (type === C.HEADERS ? flags : 0), stream);
      this.buffer.set(block.subarray(at, end), to + C.FRAME_HEADER_BYTES);
      type = C.CONTINUATION;
      at = end;
    } while (at < block.length);
  }

  preface(): void {
    const at = this.reserve(C.PREFACE.length);
    this.buffer.set(C.PREFACE, at);
  }

  settings(settings: readonly (readonly [id: number, value: number])[]): void {
    const length = settings.length * 6;
    const at = this.reserve(C.FRAME_HEADER_BYTES + length);
    this.header(at, length, C.SETTINGS, 0, 0);
    let to = at + C.FRAME_HEADER_BYTES;
    for (const [id, value] of settings) {
      this.buffer[to] = id >>> 8;
      this.buffer[to + 1] = id;
      this.#uint32(to + 2, value);
      to += 6;
    }
  }

  settingsAck(): void {
    this.header(this.reserve(C.FRAME_HEADER_BYTES), 0, C.SETTINGS, C.ACK, 0);
  }

  /** @param bytes eight octets from `from` on. */
  ping(ack: boolean, bytes: Uint8Array, from: number): void {
    const at = this.reserve(C.FRAME_HEADER_BYTES + 8);
    this.header(at, 8, C.PING, ack ? C.ACK : 0, 0);
    for (let i = 0; i < 8; i++) this.buffer[at + C.FRAME_HEADER_BYTES + i] = bytes[from + i]!;
  }

  reset(stream: number, code: number): void {
    this.#frame4(C.RST_STREAM, stream, code);
  }

  windowUpdate(stream: number, increment: number): void {
    this.#frame4(C.WINDOW_UPDATE, stream, increment);
  }

  /** @param message for whoever reads the peer's logs. */
  goAway(last: number, code: number, message: string): void {
    const text = Buffer.from(message, "latin1");
    const at = this.reserve(C.FRAME_HEADER_BYTES + 8 + text.length);
    this.header(at, 8 + text.length, C.GOAWAY, 0, 0);
    this.#uint32(at + C.FRAME_HEADER_BYTES, last);
    this.#uint32(at + C.FRAME_HEADER_BYTES + 4, code);
    this.buffer.set(text, at + C.FRAME_HEADER_BYTES + 8);
  }

  #frame4(type: number, stream: number, value: number): void {
    const at = this.reserve(C.FRAME_HEADER_BYTES + 4);
    this.header(at, 4, type, 0, stream);
    this.#uint32(at + C.FRAME_HEADER_BYTES, value);
  }

  #uint32(at: number, value: number): void {
    const { buffer } = this;
    buffer[at] = value >>> 24;
    buffer[at + 1] = value >>> 16;
    buffer[at + 2] = value >>> 8;
    buffer[at + 3] = value;
  }
}
