// What a listener warns of: each text once, however often it is found. Called by listeners of the data plane.

import type { WorkerEvent } from "./messages.ts";

export class Warnings {
  readonly #key: string;
  readonly #emit: (event: WorkerEvent) => void;
  readonly #told = new Set<string>();

  /** @param key of the listener. */
  constructor(key: string, emit: (event: WorkerEvent) => void) {
    this.#key = key;
    this.#emit = emit;
  }

  add(messages: readonly string[]): void {
    for (const message of messages) {
      if (this.#told.has(message)) continue;
      this.#told.add(message);
      this.#emit({ type: "warning", key: this.#key, message });
    }
  }
}
