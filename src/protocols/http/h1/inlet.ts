// What stands between a wire and whoever reads it: it stops the wire, and holds what came all the same. Invariant: while bytes
// are held the wire is stopped, so they are what two reads of it bring at most. Called by server.ts.

import type { Wire } from "../../wire/wire.ts";

export class Inlet {
  /** Bytes in all. */
  received = 0;
  readonly #wire: Wire;
  #held: Uint8Array | null = null;
  #stopped = false;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  get holds(): boolean {
    return this.#held !== null;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#wire.pause();
  }

  go(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#wire.resume();
  }

  /** Counts what came. @returns true if it has to wait behind what is held. */
  queues(bytes: Uint8Array): boolean {
    this.received += bytes.length;
    if (this.#held === null) return false;
    this.#held = Buffer.concat([this.#held, bytes]);
    return true;
  }

  /** Bytes from `at` on are not read now. */
  hold(bytes: Uint8Array, at: number): void {
    this.#held = bytes.subarray(at);
    this.stop();
  }

  /** What is held is to be read now. */
  take(): Uint8Array | null {
    const held = this.#held;
    this.#held = null;
    return held;
  }
}
