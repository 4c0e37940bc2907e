// The stream of snapshots: asks for it, reads it, and asks again when it ends or says nothing for too long. Called by
// store.ts.

import type { Snapshot } from "../control/admin/schemas.ts";
import { EventStreamReader } from "./event-stream.ts";
import { authorization, reasonOf, token } from "./requests.ts";

const PATH = "/api/stream";
/** The proxy sends a snapshot a second; one that is this late is not coming. */
const SILENCE_MS = 6_000;
/** Before asking again, by how often it failed in a row; the last goes on. */
const WAITS_MS = [500, 1_000, 2_000, 5_000];

export type LinkState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  | { readonly kind: "lost"; readonly reason: string }
  /** It wants a token. @param refused one was shown, and is not it. */
  | { readonly kind: "locked"; readonly refused: boolean };

export interface LinkEvents {
  snapshot(snapshot: Snapshot): void;
  state(state: LinkState): void;
}

export class Link {
  readonly #events: LinkEvents;
  #attempt = new AbortController();
  #failures = 0;

  constructor(events: LinkEvents) {
    this.#events = events;
  }

  /** Begins, or begins anew with the token as it is now. */
  open(): void {
    this.#attempt.abort();
    this.#attempt = new AbortController();
    this.#failures = 0;
    void this.#run(this.#attempt.signal);
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const reason = await this.#read(signal);
      if (signal.aborted || reason === null) return;
      this.#events.state({ kind: "lost", reason });
      await wait(WAITS_MS[this.#failures++] ?? WAITS_MS.at(-1)!, signal);
    }
  }

  /** @returns why it ended; null: it makes no sense to ask again. */
  async #read(outer: AbortSignal): Promise<string | null> {
    const attempt = new AbortController();
    const signal = AbortSignal.any([outer, attempt.signal]);
    let late = setTimeout(() => attempt.abort(), SILENCE_MS);
    try {
      const answer = await fetch(PATH, { headers: authorization(), signal });
      if (answer.status === 401) {
        this.#events.state({ kind: "locked", refused: token() !== null });
        return null;
      }
      if (!answer.ok || answer.body === null) return await reasonOf(answer);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      const events = new EventStreamReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return "the proxy ended the stream";
        clearTimeout(late);
        late = setTimeout(() => attempt.abort(), SILENCE_MS);
        const whole = events.push(value);
        if (whole === null) return "what comes is no stream of snapshots";
        for (const { name, data } of whole) if (name === "snapshot") this.#take(data);
      }
    } catch {
      return attempt.signal.aborted ? "the proxy says nothing" : "the proxy does not answer";
    } finally {
      clearTimeout(late);
      attempt.abort();
    }
  }

  #take(data: string): void {
    const snapshot = JSON.parse(data) as Snapshot;
    this.#failures = 0;
    this.#events.state({ kind: "live" });
    this.#events.snapshot(snapshot);
  }
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    resolve();
  });
  return promise;
}
