// Log lines to a descriptor without ever blocking this thread: a terminal that was stopped or a pipe that nobody reads must
// not keep signals from being heard. Each write runs in the runtime's pool, one at a time, so lines keep their order and
// the descriptor, which other programs may share, keeps its mode. What does not fit the buffer is dropped and counted.

import { write } from "node:fs";

/** A reader that is this far behind is not reading: some 5,000 lines. */
const BUFFER_MAX_BYTES = 1024 * 1024;
/** Someone else made the shared descriptor non-blocking: how long to leave it when it is full. */
const AGAIN_MS = 20;

export class LogWriter {
  readonly #fd: number;
  readonly #lostLine: (count: number) => string;
  readonly #bufferMaxBytes: number;
  #lines: Buffer[] = [];
  /** Waiting and being written. */
  #bytes = 0;
  #lost = 0;
  #writing = false;
  #idle: (() => void)[] = [];

  /** @param lostLine the line that tells of lines that were dropped. */
  constructor(fd: number, lostLine: (count: number) => string, bufferMaxBytes = BUFFER_MAX_BYTES) {
    this.#fd = fd;
    this.#lostLine = lostLine;
    this.#bufferMaxBytes = bufferMaxBytes;
  }

  /** Never blocks, never throws. */
  write(text: string): void {
    const line = Buffer.from(text);
    if (this.#bytes + line.length > this.#bufferMaxBytes) {
      this.#lost++;
      return;
    }
    this.#lines.push(line);
    this.#bytes += line.length;
    if (!this.#writing) this.#writeAll();
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
    const lines = this.#lines;
    const told = this.#lost;
    this.#lines = [];
    this.#lost = 0;
    const text = told === 0 ? lines : [...lines, Buffer.from(this.#lostLine(told))];
    this.#writing = true;
    this.#write(Buffer.concat(text), 0, (failed) => {
      this.#writing = false;
      this.#bytes = this.#lines.reduce((sum, line) => sum + line.length, 0);
      // The reader is gone or its disk is full. Forwarding goes on; the next line tries again and says what was lost.
      if (failed) this.#lost += told + lines.length;
      if (this.#lines.length > 0 || (this.#lost > 0 && !failed)) this.#writeAll();
      else for (const idle of this.#idle.splice(0)) idle();
    });
  }

  #write(buffer: Buffer, offset: number, done: (failed: boolean) => void): void {
    write(this.#fd, buffer, offset, buffer.length - offset, null, (error, written) => {
      if (error?.code === "EAGAIN" || error?.code === "EINTR") {
        setTimeout(() => this.#write(buffer, offset, done), AGAIN_MS);
      } else if (error) done(true);
      else if (offset + written < buffer.length) this.#write(buffer, offset + written, done);
      else done(false);
    });
  }
}
