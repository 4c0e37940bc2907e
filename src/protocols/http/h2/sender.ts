// What a session sends on its streams: field blocks at once, DATA as far as the windows of the peer and the wire allow, in a
// round in which each stream that waits sends one frame.
//
// Invariant: while a stream stands in the round, nobody passes it by; a stream that only its own window holds up does not
// stand in it. Called by the session; it never reads.

import { H2 } from "../../../shared/limits.ts";
import type { Wire } from "../../wire/wire.ts";
import * as C from "./constants.ts";
import { HpackEncoder } from "./hpack/encoder.ts";
import { Output } from "./output.ts";
import type { Stream, StreamOwner } from "./stream.ts";

const NOTHING = new Uint8Array(0);

export class Sender {
  readonly output: Output;
  readonly encoder = new HpackEncoder();
  /** What the peer takes on the connection as a whole. */
  window: number = C.FIRST_WINDOW;
  /** Bytes and frames of DATA that went out, over all streams. */
  sent = 0;
  frames = 0;
  readonly #owner: StreamOwner;
  #first: Stream | null = null;
  #last: Stream | null = null;
  #pumping = false;
  /** The block that is being encoded: where its frame begins in the output; -1: it stands in #large. */
  #blockAt = -1;
  #large = NOTHING;

  constructor(wire: Wire, owner: StreamOwner) {
    this.output = new Output(wire);
    this.#owner = owner;
  }

  /** @param bound what the block may take at most. The encoder is ready for its fields then. */
  beginBlock(bound: number): void {
    if (bound <= C.FIRST_FRAME_SIZE) {
      this.#blockAt = this.output.reserve(C.FRAME_HEADER_BYTES + bound);
      this.encoder.begin(this.output.buffer, this.#blockAt + C.FRAME_HEADER_BYTES);
      return;
    }
    this.#blockAt = -1;
    this.#large = new Uint8Array(bound);
    this.encoder.begin(this.#large, 0);
  }

  endBlock(stream: number, endStream: boolean): void {
    const { output, encoder } = this;
    const flags = endStream ? C.END_STREAM : 0;
    const at = this.#blockAt;
    if (at < 0) {
      output.block(stream, flags, this.#large.subarray(0, encoder.at));
      this.#large = NOTHING;
    } else {
      output.used = encoder.at;
      const length = encoder.at - at - C.FRAME_HEADER_BYTES;
      output.header(at, length, C.HEADERS, flags | C.END_HEADERS, stream);
    }
    encoder.output = NOTHING;
  }

  /** END_STREAM, if no block brings it. */
  endStream(stream: number): void {
    if (!this.output.endLast(stream)) this.output.data(stream, C.END_STREAM, NOTHING, 0, 0);
  }

  /** @returns how many of these bytes went out. */
  send(stream: Stream, bytes: Uint8Array): number {
    if (this.#first !== null) return 0;
    let at = 0;
    while (at < bytes.length && !this.output.blocked) {
      const length = this.#allowed(stream, bytes.length - at);
      if (length <= 0) break;
      this.#frame(stream, bytes, at, at + length);
      at += length;
    }
    return at;
  }

  #allowed(stream: Stream, bytes: number): number {
    let allowed = bytes < H2.frameBytes ? bytes : H2.frameBytes;
    if (stream.sendWindow < allowed) allowed = stream.sendWindow;
    return this.window < allowed ? this.window : allowed;
  }

  #frame(stream: Stream, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.output.data(stream.id, 0, bytes, start, end);
    stream.sendWindow -= length;
    stream.sent += length;
    this.window -= length;
    this.sent += length;
    this.frames++;
  }

  /** At the end of the round, unless its own window holds it up: then WINDOW_UPDATE brings it here. */
  enqueue(stream: Stream): void {
    if (stream.queued || (stream.waiting.length > 0 && stream.sendWindow <= 0)) return;
    stream.queued = true;
    if (this.#last === null) this.#first = stream;
    else this.#last.next = stream;
    this.#last = stream;
  }

  #dequeue(): Stream {
    const stream = this.#first!;
    this.#first = stream.next;
    if (stream.next === null) this.#last = null;
    stream.next = null;
    stream.queued = false;
    return stream;
  }

  /** A window or the wire has opened: the round goes on until either is closed again. */
  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#first !== null && !this.output.blocked) {
      if (this.window <= 0 && this.#first.waiting.length > 0) break;
      const stream = this.#dequeue();
      if (stream.over || !this.#serve(stream)) continue;
      if (stream.endWaits) this.#owner.sendEnd(stream, stream.trailersWait);
      else if (stream.wantsDrain) {
        stream.wantsDrain = false;
        stream.tellDrain();
      }
    }
    this.#pumping = false;
  }

  /** Sends one frame of it. @returns whether nothing of it waits any more. */
  #serve(stream: Stream): boolean {
    const { waiting } = stream;
    if (waiting.length === 0) return true;
    const length = this.#allowed(stream, waiting.length);
    if (length <= 0) return false; // WINDOW_UPDATE of the stream brings it back
    this.#frame(stream, waiting.bytes, waiting.start, waiting.start + length);
    waiting.shift(length);
    if (waiting.length === 0) return true;
    this.enqueue(stream);
    return false;
  }

  /** Nothing goes out any more. */
  discard(): void {
    this.output.discard();
    while (this.#first !== null) this.#dequeue();
  }
}
