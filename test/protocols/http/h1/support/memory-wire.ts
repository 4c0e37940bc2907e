// A wire without a socket: what is written to it is kept as text, and what it tells is fed to it. For tests that say every byte
// and every split themselves.

import { SILENT } from "../../../../../src/protocols/wire/handler.ts";
import type { Wire, WireHandler } from "../../../../../src/protocols/wire/wire.ts";

export class MemoryWire implements Wire {
  handler: WireHandler = SILENT;
  readonly peer = { ip: new Uint8Array(16), port: 0 };
  readonly tls = null;
  readonly fd: number = -1;
  pending = 0;
  isHeldUp = false;
  isHeldDown = false;
  /** Latin-1, of every write. */
  readonly writes: string[] = [];
  hasEnded = false;
  wasReset = false;
  isPaused = false;
  /** `write` says false while it is. */
  isFull = false;
  #queue: (() => void)[] = [];

  /** All that was written. */
  get sent(): string {
    return this.writes.join("");
  }

  write(bytes: Uint8Array): boolean {
    if (this.wasReset || this.hasEnded) return false;
    this.writes.push(Buffer.from(bytes).toString("latin1"));
    return !this.isFull;
  }

  writeRange(bytes: Uint8Array, start: number, end: number): boolean {
    return this.write(bytes.subarray(start, end));
  }

  end(): void {
    this.hasEnded = true;
  }

  reset(): void {
    this.wasReset = true;
    this.handler = SILENT;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    queueMicrotask(() => this.#tell());
  }

  /** The peer sends; it is told as soon as the wire is not paused. */
  feed(text: string | Uint8Array): void {
    const bytes = typeof text === "string" ? Buffer.from(text, "latin1") : text;
    this.#later(() => this.handler.onData(bytes));
  }

  /** The peer's FIN. */
  feedEnd(): void {
    this.#later(() => this.handler.onEnd());
  }

  feedDrain(): void {
    this.isFull = false;
    this.handler.onDrain();
  }

  feedClose(code: string | null): void {
    this.handler.onClose(code === null ? null : Object.assign(new Error("gone"), { code }));
  }

  #later(tell: () => void): void {
    this.#queue.push(tell);
    this.#tell();
  }

  #tell(): void {
    while (!this.isPaused && this.#queue.length > 0) this.#queue.shift()!();
  }
}

/** Lets every microtask run that is due, and those that these bring. */
export async function settled(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setImmediate(resolve);
  await promise;
}
