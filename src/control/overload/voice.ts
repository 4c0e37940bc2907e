// What the log says of overload: a line when new work begins to be turned away, and one when that is over. Something that comes
// and goes is told of once in a while, with how often it came. Called by watch.ts.

import { SHEDDING } from "../../shared/limits.ts";
import type { Log } from "../../shared/log.ts";
import type { Overload, OverloadReason } from "../proxy-state.ts";

interface Episode {
  since: number;
  /** The line about its beginning was written. */
  told: boolean;
}

export class OverloadVoice {
  readonly #log: Log;
  readonly #episodes = new Map<OverloadReason, Episode>();
  /** By reason: when a beginning was last told, and how many were not since. */
  readonly #toldMs = new Map<OverloadReason, number>();
  readonly #untold = new Map<OverloadReason, number>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** @param overloads all that there are at this moment. */
  hear(overloads: readonly Overload[], nowMs: number): void {
    for (const overload of overloads) {
      if (!this.#episodes.has(overload.reason)) this.#begin(overload, nowMs);
    }
    for (const [reason, episode] of this.#episodes) {
      if (overloads.some((overload) => overload.reason === reason)) continue;
      this.#episodes.delete(reason);
      const forMs = Math.round(nowMs - episode.since);
      if (episode.told) this.#log.info({ reason, forMs }, "overload is over");
    }
  }

  #begin({ reason, detail }: Overload, nowMs: number): void {
    const untold = this.#untold.get(reason) ?? 0;
    const told = nowMs - (this.#toldMs.get(reason) ?? -Infinity) >= SHEDDING.sayMs;
    this.#episodes.set(reason, { since: nowMs, told });
    if (!told) {
      this.#untold.set(reason, untold + 1);
      return;
    }
    this.#toldMs.set(reason, nowMs);
    this.#untold.delete(reason);
    const before = untold === 0 ? {} : { untold };
    this.#log.warn({ reason, detail, ...before }, "overloaded, new work is turned away");
  }
}
