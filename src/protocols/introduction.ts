// A client of a gateway that begins with a PROXY header: what l4/entrance.ts makes of its bytes, for the wire that waits for
// them. Made by admission.ts.
//
// Invariant: the Arrival gets every byte once, though the wire shows all of them again with each look.

import type { Arrival, Refused, Verdict } from "../l4/entrance.ts";
import { monotonicMs } from "../shared/clock.ts";
import type { Peer } from "./live-rows.ts";
import { type Introduced, type Introduction, IntroductionError } from "./wire/introductions.ts";

export interface IntroductionEvents {
  /** The header was read, of a client that may go on or not. @returns who the client is. */
  introduced(arrival: Arrival): Peer;
  /** Once, and before the wire is told. */
  refused(refusal: Refused): void;
}

export class HeaderIntroduction implements Introduction {
  readonly #arrival: Arrival;
  readonly #events: IntroductionEvents;
  #seen = 0;

  constructor(arrival: Arrival, events: IntroductionEvents) {
    this.#arrival = arrival;
    this.#events = events;
  }

  get deadlineMs(): number {
    return this.#arrival.deadlineMs;
  }

  take(bytes: Uint8Array): Introduced | IntroductionError | null {
    if (bytes.length === this.#seen) return null;
    const verdict = this.#arrival.take(bytes.subarray(this.#seen), monotonicMs());
    this.#seen = bytes.length;
    if (verdict.type === "more") return null;
    const peer = this.#events.introduced(this.#arrival);
    if (verdict.type !== "go") return this.#fail(verdict);
    return { peer, bytes: this.#seen - this.#arrival.rest.length };
  }

  ended(): IntroductionError {
    return this.#fail(this.#arrival.ended());
  }

  expired(): IntroductionError {
    return this.#fail(this.#arrival.expired());
  }

  #fail(verdict: Verdict): IntroductionError {
    if (verdict.type === "refused") this.#events.refused(verdict);
    return new IntroductionError(verdict.type === "refused" ? verdict.reason : "end");
  }
}
