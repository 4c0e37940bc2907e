// What holds bytes on their way: pipes for bulk, buffers for what a short send left over. Both are pooled and taken only
// while a direction needs them. A pipe goes back into the pool empty or not at all: a pipe that holds bytes of a dead
// connection is closed, so that no byte can ever reach another one.

import { errno, libc } from "../../ffi/libc.ts";
import { F_SETPIPE_SZ, O_CLOEXEC, O_NONBLOCK } from "../../ffi/linux.ts";
import { addressOf, pinnedInt32 } from "../../ffi/memory.ts";
import { impossible, isOutOfDescriptors } from "./errnos.ts";

/** Kept for reuse; more are closed. A blocked direction holds one, so this bounds what a burst leaves behind. */
const IDLE_PIPES_MAX = 64;
const IDLE_BUFFERS_MAX = 64;
/** 16 pages (pipe(7)). */
const PIPE_DEFAULT_BYTES = 65_536;

/**
 * As large as the system allows, up to `bytes`: EPERM means that pipe-max-size or the user's pipe-user-pages-soft (pipe(7))
 * is reached. A pipe that keeps its default size works all the same, with more calls.
 */
function enlarge(pipe: number, bytes: number): void {
  for (let size = bytes; size > PIPE_DEFAULT_BYTES; size >>>= 1) {
    if (libc.fcntl(pipe, F_SETPIPE_SZ, size) >= 0) return;
  }
}

/** Pipes of one size. An index names a pipe until it is released or discarded. */
export class PipePool {
  readonly #bytes: number;
  readonly #readEnds: number[] = [];
  readonly #writeEnds: number[] = [];
  readonly #idle: number[] = [];
  readonly #vacant: number[] = [];
  readonly #pair = pinnedInt32(2);

  /** @param bytes asked for with F_SETPIPE_SZ; the kernel rounds up to pages. */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** An empty pipe, or -1 when descriptors have run out: the caller copies instead. */
  take(): number {
    const index = this.#idle.pop();
    return index ?? this.#create();
  }

  #create(): number {
    if (libc.pipe2(addressOf(this.#pair), O_CLOEXEC | O_NONBLOCK) < 0) {
      const error = errno();
      if (isOutOfDescriptors(error)) return -1;
      throw impossible("pipe2", error);
    }
    const [readEnd = -1, writeEnd = -1] = this.#pair;
    enlarge(writeEnd, this.#bytes);
    const index = this.#vacant.pop() ?? this.#readEnds.length;
    this.#readEnds[index] = readEnd;
    this.#writeEnds[index] = writeEnd;
    return index;
  }

  readEnd(index: number): number {
    return this.#readEnds[index]!;
  }

  writeEnd(index: number): number {
    return this.#writeEnds[index]!;
  }

  /** Takes back a pipe that is empty. */
  release(index: number): void {
    if (this.#idle.length < IDLE_PIPES_MAX) this.#idle.push(index);
    else this.discard(index);
  }

  /** Closes a pipe with whatever it holds. */
  discard(index: number): void {
    libc.close(this.#readEnds[index]!);
    libc.close(this.#writeEnds[index]!);
    this.#vacant.push(index);
  }

  /** Closes the idle ones. Those in use are their connections' to discard. */
  close(): void {
    for (const index of this.#idle.splice(0)) this.discard(index);
  }
}

/** Buffers of one size. */
export class BufferPool {
  readonly #bytes: number;
  readonly #buffers: (Uint8Array | undefined)[] = [];
  readonly #idle: number[] = [];
  readonly #vacant: number[] = [];

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  take(): number {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const index = this.#vacant.pop() ?? this.#buffers.length;
    this.#buffers[index] = new Uint8Array(this.#bytes);
    return index;
  }

  /** Holds a buffer of any size, which is not used again after its release. */
  put(buffer: Uint8Array): number {
    const index = this.#vacant.pop() ?? this.#buffers.length;
    this.#buffers[index] = buffer;
    return index;
  }

  at(index: number): Uint8Array {
    return this.#buffers[index]!;
  }

  release(index: number): void {
    const reusable = this.#buffers[index]!.length === this.#bytes;
    if (reusable && this.#idle.length < IDLE_BUFFERS_MAX) this.#idle.push(index);
    else {
      this.#buffers[index] = undefined;
      this.#vacant.push(index);
    }
  }
}
