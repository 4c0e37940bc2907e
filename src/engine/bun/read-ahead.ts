// Reads sockets of the runtime before the runtime does. While one socket's event is handled others have bytes as well, and to
// read them here costs a third of what the runtime takes, which makes a buffer and an event for each. So whoever has handled an
// event of the runtime calls `drain`: it asks the kernel which of the watched sockets have bytes, and reads those.
//
//   runtime ── one socket's data ──▶ its handler, then drain ── recv ──▶ handlers of the others, while any have bytes
//
// What their handlers write is gathered, and sent at the end of a round (send-batch.ts).
//
// Invariants:
// 1. The runtime watches every socket too, and finds nothing where this has read. So anything may be left to it: ends, errors,
//    and sockets whose owner is paused or moves bulk, for which the runtime's larger reads are better.
// 2. A call that takes an error from a socket tells its owner, since the runtime will not see it any more.
//
// Used by the wires of protocols (protocols/wire/plain-wire.ts; tls.ts drains), in their worker's thread.

import { libc } from "../../ffi/libc.ts";
import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_DATA_WORD,
  EPOLL_EVENT_WORDS,
  EPOLLET,
  EPOLLIN,
  MSG_DONTWAIT,
} from "../../ffi/linux.ts";
import { addressOf, pinnedBytes, pinnedInt32 } from "../../ffi/memory.ts";
import { READ_AHEAD } from "../../shared/limits.ts";
import { type BatchWriter, SendBatch, tellLoss } from "./send-batch.ts";

/** Whose socket is watched. */
export interface AheadReader extends BatchWriter {
  /** Whether it takes bytes now, and those of a message rather than of bulk. */
  readonly readsAhead: boolean;
  /** The bytes are its own. */
  receive(bytes: Uint8Array): void;
}

const { batch, readBytes, eventsMax, skipsMax } = READ_AHEAD;

export class ReadAhead {
  /** -1: not made; there is none where there are no such calls, or no descriptor was free. */
  #epoll = -1;
  #made = false;
  /** By descriptor. */
  readonly #readers: (AheadReader | undefined)[] = [];
  readonly #batch = new SendBatch();
  readonly #events = pinnedInt32(batch * EPOLL_EVENT_WORDS);
  readonly #memory = pinnedBytes(readBytes);
  readonly #eventsAddress = addressOf(this.#events);
  readonly #memoryAddress = addressOf(this.#memory);
  /** So often `drain` does nothing, since it found nothing: a lone connection should not pay for it. */
  #skips = 0;
  #nextSkips = 0;

  /** @returns whether it is: otherwise the runtime alone reads it. */
  watch(fd: number, reader: AheadReader): boolean {
    if (!this.#made) this.#make();
    if (this.#epoll < 0 || fd < 0) return false;
    this.#events[0] = EPOLLIN | EPOLLET;
    this.#events[EPOLL_DATA_WORD] = fd;
    const added = libc.epoll_ctl(this.#epoll, EPOLL_CTL_ADD, fd, this.#eventsAddress) === 0;
    if (added) this.#readers[fd] = reader;
    return added;
  }

  #make(): void {
    this.#made = true;
    if (process.platform === "linux") this.#epoll = libc.epoll_create1(EPOLL_CLOEXEC);
  }

  /** The thread ends, be it by a crash: what the kernel keeps for it would stay with the process. */
  close(): void {
    if (this.#epoll >= 0) libc.close(this.#epoll);
    this.#epoll = -1;
  }

  /** Its socket is closed, or is about to be: the kernel forgets it then. */
  forget(fd: number, reader: AheadReader): void {
    if (this.#readers[fd] !== reader) return;
    this.#readers[fd] = undefined;
    this.#batch.drop(reader);
  }

  /**
   * Writes to a watched socket: now, or soon, with what others write in this round.
   * @returns where what the caller has to write itself begins.
   */
  write(reader: AheadReader, fd: number, bytes: Uint8Array, start: number, end: number): number {
    return this.#batch.write(reader, fd, bytes, start, end);
  }

  /** What was written goes out, since something else is to be done with a socket. */
  flush(): void {
    this.#batch.flush();
  }

  /** Called when an event of the runtime was handled, not from within what handles one. */
  drain(): void {
    if (this.#epoll < 0) return;
    if (this.#skips > 0) {
      this.#skips--;
      return;
    }
    let found = 0;
    for (let left = eventsMax; left > 0;) {
      const count = libc.epoll_wait(this.#epoll, this.#eventsAddress, batch, 0);
      if (count <= 0) break;
      this.#batch.gathers = true;
      for (let i = 0; i < count; i++) found += this.#read(i);
      this.#batch.gathers = false;
      this.#batch.flush();
      left -= count;
    }
    this.#nextSkips = found > 0 ? 0 : Math.min(this.#nextSkips * 2 + 1, skipsMax);
    this.#skips = this.#nextSkips;
  }

  #read(index: number): number {
    const at = index * EPOLL_EVENT_WORDS;
    if (this.#events[at] !== EPOLLIN) return 0;
    const fd = this.#events[at + EPOLL_DATA_WORD]!;
    const reader = this.#readers[fd];
    if (reader === undefined || !reader.readsAhead) return 0;
    const count = libc.recv(fd, this.#memoryAddress, readBytes, MSG_DONTWAIT);
    if (count > 0) {
      reader.receive(this.#memory.slice(0, count));
      return 1;
    }
    if (count < 0) tellLoss(reader);
    return 0;
  }
}

/** Of this thread. */
export const AHEAD = new ReadAhead();
