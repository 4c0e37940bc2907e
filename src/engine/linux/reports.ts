// Events that a flood of clients could multiply, counted together: the first of a kind is sent at once, those within the
// next second as one. Driven by the loop's clock; no timer of its own.

import { RELAY } from "../../shared/limits.ts";
import type { Refusal, WorkerEvent } from "../../shared/messages.ts";

interface Tally {
  readonly key: string;
  readonly reason: Refusal;
  count: number;
  detail: string;
  /** When the next report may be sent. */
  dueMs: number;
}

export class Reports {
  readonly #emit: (event: WorkerEvent) => void;
  readonly #tallies = new Map<string, Tally>();
  readonly #pauses = new Map<string, number>();
  #nextDueMs = Infinity;

  constructor(emit: (event: WorkerEvent) => void) {
    this.#emit = emit;
  }

  /** When `flush` has something to do; Infinity if nothing waits. */
  get nextDueMs(): number {
    return this.#nextDueMs;
  }

  refused(key: string, reason: Refusal, detail: string, now: number): void {
    const name = `${reason} ${key}`;
    let tally = this.#tallies.get(name);
    if (tally === undefined) {
      tally = { key, reason, count: 0, detail, dueMs: now };
      this.#tallies.set(name, tally);
    }
    tally.count++;
    tally.detail = detail;
    if (now >= tally.dueMs) this.#send(tally, now);
    else this.#nextDueMs = Math.min(this.#nextDueMs, tally.dueMs);
  }

  acceptPaused(key: string, errno: string, pauseMs: number, now: number): void {
    if (now < (this.#pauses.get(key) ?? 0)) return;
    this.#pauses.set(key, now + RELAY.reportIntervalMs);
    this.#emit({ type: "accept_paused", key, errno, pauseMs });
  }

  /** Sends what is due. */
  flush(now: number): void {
    this.#nextDueMs = Infinity;
    for (const tally of this.#tallies.values()) {
      if (tally.count === 0) continue;
      if (now >= tally.dueMs) this.#send(tally, now);
      else this.#nextDueMs = Math.min(this.#nextDueMs, tally.dueMs);
    }
  }

  #send(tally: Tally, now: number): void {
    const { key, reason, count, detail } = tally;
    this.#emit({ type: "refused", key, reason, count, detail });
    tally.count = 0;
    tally.dueMs = now + RELAY.reportIntervalMs;
  }
}
