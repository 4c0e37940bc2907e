// What sockets are to send, gathered while many of them are served, and sent by one system call each behind all that. A send
// costs more than a small message's whole way through the proxy, and goes through the receiver's side of the kernel as well:
// done in between, each leaves the caches to the next message as if it were the first.
//
//   #memory │ first's bytes │ second's ... │ free ... │        #writers, #fds, #ends: one entry for each
//                          #ends[0]       #used
//
// Invariant: bytes of one socket go out in the order in which they were written; what cannot be gathered is sent behind what was.
// Called by read-ahead.ts.

import { EAGAIN, EINTR, ENOBUFS, ENOMEM, errnoName } from "../../ffi/errno.ts";
import { errno, libc } from "../../ffi/libc.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL } from "../../ffi/linux.ts";
import { addressOf, pinnedBytes, pinnedInt32, type Pointer } from "../../ffi/memory.ts";
import { READ_AHEAD } from "../../shared/limits.ts";

/** Whose bytes they are. */
export interface BatchWriter {
  /** The socket has not taken bytes [start, end), which may be changed once this returns. Writes nothing to others. */
  unsent(bytes: Uint8Array, start: number, end: number): void;
  /** The socket has this error, which the runtime will tell as an end. */
  lost(code: string): void;
}

const { batchBytes, gatheredMax } = READ_AHEAD;
const FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL;
const copyBytes = Buffer.prototype.copy;

export class SendBatch {
  /** Whether bytes are gathered now. */
  gathers = false;
  #count = 0;
  #used = 0;
  readonly #memory = pinnedBytes(batchBytes);
  readonly #address = addressOf(this.#memory);
  readonly #writers: (BatchWriter | null)[] = [];
  readonly #fds = pinnedInt32(gatheredMax);
  readonly #ends = pinnedInt32(gatheredMax);

  /** @returns where what was neither gathered nor sent begins: it is the caller's to send. */
  write(writer: BatchWriter, fd: number, bytes: Uint8Array, start: number, end: number): number {
    if (this.gathers && this.#used + end - start <= batchBytes) {
      this.#gather(writer, fd, bytes, start, end);
      return end;
    }
    this.flush();
    if (start > 0) return start; // there is no address for it
    const sent = libc.send(fd, bytes, end, FLAGS);
    if (sent >= 0) return sent;
    tellLoss(writer);
    return 0;
  }

  #gather(writer: BatchWriter, fd: number, bytes: Uint8Array, start: number, end: number): void {
    copyBytes.call(bytes as Buffer, this.#memory, this.#used, start, end);
    const i = this.#count++;
    this.#writers[i] = writer;
    this.#fds[i] = fd;
    this.#ends[i] = this.#used += end - start;
    if (this.#count === gatheredMax) this.flush();
  }

  /** Nothing of this writer is sent any more: its descriptor is not its own any more. */
  drop(writer: BatchWriter): void {
    for (let i = 0; i < this.#count; i++) if (this.#writers[i] === writer) this.#writers[i] = null;
  }

  /** Sends what was gathered. */
  flush(): void {
    let start = 0;
    for (let i = 0; i < this.#count; i++) {
      const end = this.#ends[i]!;
      const writer = this.#writers[i]!;
      if (writer !== null) this.#send(writer, this.#fds[i]!, start, end);
      this.#writers[i] = null;
      start = end;
    }
    this.#count = this.#used = 0;
  }

  #send(writer: BatchWriter, fd: number, start: number, end: number): void {
    const length = end - start;
    const sent = libc.send(fd, (this.#address + start) as Pointer, length, FLAGS);
    if (sent === length) return;
    if (sent < 0) tellLoss(writer);
    writer.unsent(this.#memory, start + Math.max(0, sent), end);
  }
}

/** Of a call that has failed, right behind it. */
export function tellLoss(writer: BatchWriter): void {
  const code = errno();
  const isLost = code !== EAGAIN && code !== EINTR && code !== ENOBUFS && code !== ENOMEM;
  if (isLost) writer.lost(errnoName(code));
}
