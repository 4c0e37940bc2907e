// Where a capture is written: a descriptor, one write at a time in the runtime's pool, so that nothing here blocks the thread.
// Invariant: at most `bufferMaxBytes` wait, and for each caller one record above it, since callers wait for room. After a
// failure nothing is written any more and nobody waits: what the capture is of goes on without it.

import { ftruncateSync, write } from "node:fs";

import { CAPTURE } from "../shared/limits.ts";

/** Someone made the shared descriptor non-blocking: how long to leave it when it is full. */
const AGAIN_MS = 20;

export interface SinkOptions {
  readonly fd: number;
  /** A regular file, from which a record that was not written whole is cut off again. */
  readonly regular: boolean;
  /** Called once. */
  readonly onFailure: (error: NodeJS.ErrnoException) => void;
  readonly bufferMaxBytes?: number;
}

export class Sink {
  readonly #options: SinkOptions;
  readonly #bufferMaxBytes: number;
  #records: Uint8Array[] = [];
  /** Waiting, and being written. */
  #waiting = 0;
  /** Of whole records, in the output. */
  #written = 0;
  #writing = false;
  #over = false;
  #unblocked = false;
  readonly #onRoom = new Set<() => void>();
  readonly #onIdle = new Set<() => void>();

  constructor(options: SinkOptions) {
    this.#options = options;
    this.#bufferMaxBytes = options.bufferMaxBytes ?? CAPTURE.bufferMaxBytes;
  }

  /** Bytes of whole records that were written. */
  get bytesWritten(): number {
    return this.#written;
  }

  /** Takes a record, and resolves when there is room for another. Never rejects. */
  write(record: Uint8Array): Promise<void> {
    if (this.#over || record.length === 0) return Promise.resolve();
    this.#records.push(record);
    this.#waiting += record.length;
    if (!this.#writing) this.#writeNext();
    if (this.#unblocked || this.#waiting <= this.#bufferMaxBytes) return Promise.resolve();
    return new Promise((resolve) => this.#onRoom.add(resolve));
  }

  /** Resolves when everything is written, or a write has failed. */
  flushed(): Promise<void> {
    if (!this.#writing) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.add(resolve));
  }

  /** Nobody waits for room any more: for the last records, which must not wait for an output that is stuck. */
  unblock(): void {
    this.#unblocked = true;
    this.#release(this.#onRoom);
  }

  /**
   * Takes nothing more.
   * @returns whether all was written within `timeoutMs`; if not, a write that nobody takes may be under way for ever.
   */
  async close(timeoutMs: number): Promise<boolean> {
    this.#over = true;
    this.unblock();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), timeoutMs);
    });
    const inTime = await Promise.race([this.flushed().then(() => true), late]);
    clearTimeout(timer);
    return inTime;
  }

  /** Everything that waits, as one buffer: a burst of small records is one system call. */
  #writeNext(): void {
    const records = this.#records;
    this.#records = [];
    this.#writing = true;
    const batch = records.length === 1 ? records[0]! : Buffer.concat(records);
    this.#write(batch, 0, (error, taken) => {
      this.#writing = false;
      if (error !== null) return this.#fail(error, records, taken);
      this.#written += batch.length;
      this.#waiting -= batch.length;
      if (this.#waiting <= this.#bufferMaxBytes) this.#release(this.#onRoom);
      if (this.#records.length > 0) this.#writeNext();
      else this.#release(this.#onIdle);
    });
  }

  #write(
    batch: Uint8Array,
    from: number,
    done: (error: NodeJS.ErrnoException | null, taken: number) => void,
  ): void {
    const { fd } = this.#options;
    write(fd, batch, from, batch.length - from, null, (error, written = 0) => {
      if (error?.code === "EAGAIN" || error?.code === "EINTR") {
        setTimeout(() => this.#write(batch, from, done), AGAIN_MS);
      } else if (error) done(error, from);
      else if (from + written < batch.length) this.#write(batch, from + written, done);
      else done(null, batch.length);
    });
  }

  /** @param taken bytes of the batch that were written. */
  #fail(error: NodeJS.ErrnoException, batch: readonly Uint8Array[], taken: number): void {
    this.#over = true;
    this.#records = [];
    this.#waiting = 0;
    let whole = 0;
    for (const { length } of batch) {
      if (whole + length > taken) break;
      whole += length;
    }
    this.#written += whole;
    if (this.#options.regular && whole < taken) ftruncateSync(this.#options.fd, this.#written);
    this.#release(this.#onRoom);
    this.#release(this.#onIdle);
    this.#options.onFailure(error);
  }

  #release(waiting: Set<() => void>): void {
    const all = [...waiting];
    waiting.clear();
    for (const resume of all) resume();
  }
}
