// A wire without a socket: what is written is kept, and taken when the test says so.

import { SILENT } from "../../../../src/protocols/wire/handler.ts";
import type { Wire, WireHandler } from "../../../../src/protocols/wire/wire.ts";
import { join } from "./frames.ts";

export class MemoryWire implements Wire {
  handler: WireHandler = SILENT;
  readonly peer = { ip: new Uint8Array(16), port: 1 };
  readonly tls = null;
  readonly fd = -1;
  isHeldUp = false;
  isHeldDown = false;
  /** `write` says false from here on. */
  highBytes = Infinity;
  /** The peer reads at once what is written. */
  flowing = true;
  paused = false;
  ended = false;
  wasReset = false;
  writes = 0;
  #written: Uint8Array[] = [];
  #pending = 0;
  #full = false;

  get pending(): number {
    return this.#pending;
  }

  write(bytes: Uint8Array): boolean {
    if (this.wasReset || this.ended) return false;
    this.writes++;
    this.#written.push(bytes.slice());
    if (!this.flowing) this.#pending += bytes.length;
    this.#full ||= this.#pending > this.highBytes;
    return !this.#full;
  }

  writeRange(bytes: Uint8Array, start: number, end: number): boolean {
    return this.write(bytes.subarray(start, end));
  }

  end(): void {
    this.ended = true;
  }

  reset(): void {
    this.wasReset = true;
    this.handler = SILENT;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  /** The peer reads everything. */
  drain(): void {
    this.#pending = 0;
    if (!this.#full) return;
    this.#full = false;
    this.handler.onDrain();
  }

  /** Everything that was written since the last time. */
  taken(): Uint8Array {
    const all = join(...this.#written);
    this.#written = [];
    return all;
  }
}
