// What every worker finds out for itself and tells of: that a target is left out or back, that all are, that descriptors are
// short. One line at once, of the first, and then one a second of all others, or as many lines would be written as there are
// workers. Invariant: nothing is lost if `flush` is called at the end. Called by the proxy.

import { RELAY } from "../shared/limits.ts";
import type { WorkerEvent } from "../shared/messages.ts";

export type Finding = WorkerEvent & { type: "target" | "last_resort" | "accept_paused" };

/** The worker by its index, or how many there are. */
export type Voice = { readonly worker: number } | { readonly workers: number };

interface Part {
  /** Of those who were not heard yet: the newest. */
  waiting: Finding | null;
  readonly workers: Set<number>;
  timer: NodeJS.Timeout | null;
}

export class Chorus {
  readonly #pass: (event: Finding, voice: Voice) => void;
  /** By what they find. */
  readonly #parts = new Map<string, Part>();

  constructor(pass: (event: Finding, voice: Voice) => void) {
    this.#pass = pass;
  }

  add(worker: number, event: Finding): void {
    const name = nameOf(event);
    let part = this.#parts.get(name);
    if (part === undefined) {
      part = { waiting: null, workers: new Set(), timer: null };
      this.#parts.set(name, part);
    }
    part.waiting = event;
    part.workers.add(worker);
    if (part.timer === null) this.#passOn(name, part);
  }

  /** Passes everything on without waiting, and leaves no timer behind. */
  flush(): void {
    for (const part of this.#parts.values()) {
      if (part.timer !== null) clearTimeout(part.timer);
      this.#tell(part);
    }
    this.#parts.clear();
  }

  #passOn(name: string, part: Part): void {
    if (!this.#tell(part)) {
      this.#parts.delete(name); // targets come and go
      return;
    }
    part.timer = setTimeout(() => this.#passOn(name, part), RELAY.reportIntervalMs);
    part.timer.unref(); // `flush` at the end loses nothing
  }

  /** @returns whether there was something to tell. */
  #tell(part: Part): boolean {
    const { waiting, workers } = part;
    if (waiting === null) return false;
    const [first] = workers;
    this.#pass(waiting, workers.size === 1 ? { worker: first! } : { workers: workers.size });
    part.waiting = null;
    workers.clear();
    return true;
  }
}

function nameOf(event: Finding): string {
  const { type, key } = event;
  return type === "target" ? `${type} ${key} ${event.target} ${event.to}` : `${type} ${key}`;
}
