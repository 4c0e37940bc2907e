// Log lines to a descriptor without ever blocking this thread: a terminal that was stopped or a pipe that nobody reads must
// not keep signals from being heard. Each write runs in the runtime's pool, one at a time, so lines keep their order and
// the descriptor, which other programs may share, keeps its mode. What does not fit the buffer is dropped and counted.

import { write } from "node:fs";

/** A reader that is this far behind is not reading: some 5,000 lines. */
const BUFFER_MAX_BYTES = 1024 * 1024;
/** Someone else made the shared descriptor non-blocking: how long to leave it when it is full. */
const AGAIN_MS = 20;

interface Chunk {
  readonly bytes: Uint8Array;
  readonly lines: number;
}

export class LogWriter {
  #fd: number;
  readonly #lostLine: (count: number) => string;
  readonly #bufferMaxBytes: number;
  #chunks: Chunk[] = [];
  /** Waiting and being written. */
  #bytes = 0;
  #lost = 0;
  #writing = false;
  #idle: (() => void)[] = [];
  /** Those who wait for the write that is under way. */
  #switched: (() => void)[] = [];

  /** @param lostLine the line that tells of lines that were dropped; empty: that many have been told of in another way. */
  constructor(fd: number, lostLine: (count: number) => string, bufferMaxBytes = BUFFER_MAX_BYTES) {
    this.#fd = fd;
    this.#lostLine = lostLine;
    this.#bufferMaxBytes = bufferMaxBytes;
  }

  /** One line. Never blocks, never throws. */
  write(text: string): void {
    this.writeLines(Buffer.from(text), 1);
  }

  /** @param bytes whole lines; they are the writer's now. They are written together, or dropped together. */
  writeLines(bytes: Uint8Array, lines: number): void {
    if (this.#bytes + bytes.length > this.#bufferMaxBytes) {
      this.#lost += lines;
      return;
    }
    this.#chunks.push({ bytes, lines });
    this.#bytes += bytes.length;
    if (!this.#writing) this.#writeAll();
  }

  /**
   * To another descriptor, from the next write on.
   * @returns when nothing is written to the old one any more; it is the caller's.
   */
  async switchTo(fd: number): Promise<void> {
    this.#fd = fd;
    if (!this.#writing) return;
    const written = Promise.withResolvers<void>();
    this.#switched.push(written.resolve);
    await written.promise;
  }

  /** How many lines were dropped that nobody has been told of. */
  get lost(): number {
    return this.#lost;
  }

  /** Waits until everything is written. @returns false if that took longer than `timeoutMs`. */
  flush(timeoutMs: number): Promise<boolean> {
    if (!this.#writing) return Promise.resolve(true);
    const flushed = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => flushed.resolve(false), timeoutMs);
    this.#idle.push(() => flushed.resolve(true));
    return flushed.promise.finally(() => clearTimeout(timer));
  }

  #writeAll(): void {
    const chunks = this.#chunks;
    const told = this.#lost;
    this.#chunks = [];
    this.#lost = 0;
    const parts = chunks.map(({ bytes }) => bytes);
    const lostLine = told > 0 ? this.#lostLine(told) : "";
    parts.push(Buffer.from(lostLine));
    this.#writing = true;
    this.#write(this.#fd, Buffer.concat(parts), 0, (failed) => {
      this.#writing = false;
      for (const switched of this.#switched.splice(0)) switched();
      this.#bytes = this.#chunks.reduce((sum, { bytes }) => sum + bytes.length, 0);
      // The reader is gone or its disk is full. Forwarding goes on; the next line tries again and says what was lost.
      if (failed) this.#lost += chunks.reduce((sum, { lines }) => sum + lines, 0);
      if (failed && lostLine !== "") this.#lost += told;
      if (this.#chunks.length > 0 || (this.#lost > 0 && !failed)) this.#writeAll();
      else for (const idle of this.#idle.splice(0)) idle();
    });
  }

  #write(fd: number, buffer: Buffer, offset: number, done: (failed: boolean) => void): void {
    write(fd, buffer, offset, buffer.length - offset, null, (error, written) => {
      if (error?.code === "EAGAIN" || error?.code === "EINTR") {
        setTimeout(() => this.#write(fd, buffer, offset, done), AGAIN_MS);
      } else if (error) done(true);
      else if (offset + written < buffer.length) this.#write(fd, buffer, offset + written, done);
      else done(false);
    });
  }
}
