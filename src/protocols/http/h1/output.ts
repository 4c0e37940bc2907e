// Where heads and what is sent with them are put together before they are written: one buffer for all connections of a thread,
// so that a message is one write although its head, its body and its end come in separate calls.
//
// Invariants:
// 1. What the buffer has is of one connection, its owner. Whoever needs the buffer next writes out what is in it first, so bytes
//    of a connection never overtake each other.
// 2. Nothing stays: it is written when the event that brought it is over (`leave`), or else by a microtask.
//
// Called by the codecs of HTTP/1.1; whatever turns events of sockets into calls may say when it begins and ends (`enter`,
// `leave`).

import { H1 } from "../../../shared/limits.ts";
import type { Wire } from "../../wire/wire.ts";
import { copyTo } from "./octets.ts";

/** A connection that writes through the buffer. */
export interface OutputOwner {
  readonly wire: Wire;
  /** The wire has said stop, and not drained since. */
  full: boolean;
  /** Bytes that went into the wire. */
  written: number;
}

export class Output {
  bytes: Uint8Array = new Uint8Array(H1.outputBytes);
  used = 0;
  #owner: OutputOwner | null = null;
  #depth = 0;
  #scheduled = false;
  readonly #flushLater = (): void => {
    this.#scheduled = false;
    this.flush();
  };

  /** An event begins. */
  enter(): void {
    this.#depth++;
  }

  leave(): void {
    if (--this.#depth === 0 && this.used > 0) this.flush();
  }

  /**
   * Makes the buffer this connection's, with room for so many bytes behind what it has there.
   * @returns where to write; `used` is set by the caller.
   */
  claim(owner: OutputOwner, room: number): number {
    if (this.#owner !== owner) {
      if (this.used > 0) this.flush();
      this.#owner = owner;
    } else if (this.used > 0 && this.used + room > H1.outputBytes) this.flush();
    if (this.used + room > this.bytes.length) this.#grow(room);
    return this.used;
  }

  /** What was put in may wait for more of the message: until the event is over. */
  settle(): void {
    if (this.#depth > 0 || this.#scheduled || this.used === 0) return;
    this.#scheduled = true;
    queueMicrotask(this.#flushLater);
  }

  /** What was put in is not to wait: it is written now, or when the event is over. */
  hurry(): void {
    if (this.#depth === 0) this.flush();
  }

  /** Bytes of a body: behind what waits if that is worth a copy, otherwise by themselves. @returns false: stop. */
  send(owner: OutputOwner, bytes: Uint8Array): boolean {
    const { length } = bytes;
    const holds = this.holds(owner);
    if (length <= H1.joinMaxBytes && (holds || this.#depth > 0)) {
      this.used = this.put(this.claim(owner, length), bytes, 0, length);
      this.hurry();
      return !owner.full;
    }
    if (holds) this.flush();
    return this.write(owner, bytes);
  }

  /** Past the buffer, which has nothing of this connection. @returns false: stop. */
  write(owner: OutputOwner, bytes: Uint8Array): boolean {
    owner.written += bytes.length;
    if (!owner.wire.write(bytes)) owner.full = true;
    return !owner.full;
  }

  /** Only heads grow it, which have a limit. */
  #grow(room: number): void {
    const larger = new Uint8Array(2 ** Math.ceil(Math.log2(this.used + room)));
    larger.set(this.bytes.subarray(0, this.used));
    this.bytes = larger;
  }

  /** Whether this connection has bytes here. */
  holds(owner: OutputOwner): boolean {
    return this.used > 0 && this.#owner === owner;
  }

  /** Writes out what is there. */
  flush(): void {
    const { used } = this;
    if (used === 0) return;
    const owner = this.#owner!;
    this.used = 0;
    owner.written += used;
    if (!owner.wire.writeRange(this.bytes, 0, used)) owner.full = true;
    if (this.bytes.length > H1.outputBytes) this.bytes = new Uint8Array(H1.outputBytes);
  }

  /** What this connection has here is not sent. */
  drop(owner: OutputOwner): void {
    if (this.#owner === owner) this.used = 0;
  }

  /** Bytes [start, end) of `from`, for which room was claimed. @returns the position behind them. */
  put(at: number, from: Uint8Array, start: number, end: number): number {
    const { bytes } = this;
    // A call costs as much as some fifty bytes.
    if (end - start > 48) copyTo(bytes, at, from, start, end);
    else for (let i = start, to = at; i < end; i++, to++) bytes[to] = from[i]!;
    return at + end - start;
  }
}

/** Of this thread. */
export const OUTPUT = new Output();
