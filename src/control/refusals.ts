// Refused clients of all workers, added up: every worker reports once a second, so many workers would write many lines.
// Invariant: the first report of a listener and reason is passed on at once, then one a second; nothing is lost if `flush`
// is called at the end. Called by the proxy.

import { RELAY } from "../shared/limits.ts";
import type { WorkerEvent } from "../shared/messages.ts";

export type RefusedEvent = WorkerEvent & { type: "refused" };

interface Tally {
  /** The sum of what was not passed on yet, with the newest detail; null: nothing. */
  waiting: RefusedEvent | null;
  timer: NodeJS.Timeout | null;
}

export class Refusals {
  readonly #pass: (event: RefusedEvent) => void;
  /** By listener and reason. */
  readonly #tallies = new Map<string, Tally>();

  /** @param pass gets the sums. */
  constructor(pass: (event: RefusedEvent) => void) {
    this.#pass = pass;
  }

  add(event: RefusedEvent): void {
    const name = `${event.reason} ${event.key}`;
    let tally = this.#tallies.get(name);
    if (tally === undefined) this.#tallies.set(name, (tally = { waiting: null, timer: null }));
    tally.waiting = { ...event, count: event.count + (tally.waiting?.count ?? 0) };
    if (tally.timer === null) this.#passOn(tally);
  }

  /** Passes everything on without waiting, and leaves no timer behind. */
  flush(): void {
    for (const { waiting, timer } of this.#tallies.values()) {
      if (timer !== null) clearTimeout(timer);
      if (waiting !== null) this.#pass(waiting);
    }
    this.#tallies.clear();
  }

  #passOn(tally: Tally): void {
    const { waiting } = tally;
    tally.waiting = null;
    tally.timer = null;
    if (waiting === null) return;
    tally.timer = setTimeout(() => this.#passOn(tally), RELAY.reportIntervalMs);
    tally.timer.unref(); // `flush` at the end loses nothing
    this.#pass(waiting);
  }
}
