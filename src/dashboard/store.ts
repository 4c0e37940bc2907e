// What the page knows: the last snapshot, what moved since the one before, ten minutes of history, and how the stream is.
// One object for the whole page, which tells who listens when something changed. Called by main.tsx.

import type { Snapshot } from "../control/admin/schemas.ts";
import { History } from "./history.ts";
import { Link, type LinkState } from "./link.ts";
import { LastMinute, type Rates, ratesBetween } from "./rates.ts";
import { keepToken } from "./requests.ts";

/** How far back charts show, in seconds. */
export const SPANS = [60, 300, 600] as const;
export type Span = (typeof SPANS)[number];

export class Store {
  readonly history = new History();
  readonly lastMinute = new LastMinute();
  readonly #link = new Link({
    snapshot: (snapshot) => this.#take(snapshot),
    state: (state) => this.#linkIs(state),
  });
  readonly #told = new Set<() => void>();
  snapshot: Snapshot | null = null;
  rates: Rates = { connection: () => undefined, target: () => undefined };
  /** Of one CPU, since the snapshot before; null: not known yet. */
  cpuShare: number | null = null;
  link: LinkState = { kind: "connecting" };
  /** By this machine's clock: when the last snapshot came. */
  heardMs = 0;
  /** Key of the only listener that is shown; null: all. */
  listener: string | null = null;
  span: Span = 300;
  /** What a screen reader says next. */
  announcement = "";

  start(): void {
    this.#link.open();
  }

  /** @returns what ends it. */
  listen(told: () => void): () => void {
    this.#told.add(told);
    return () => this.#told.delete(told);
  }

  signIn(value: string): void {
    keepToken(value);
    this.link = { kind: "connecting" };
    this.#link.open();
    this.#tell();
  }

  choose(choice: { listener?: string | null; span?: Span }): void {
    if (choice.listener !== undefined) this.listener = choice.listener;
    if (choice.span !== undefined) this.span = choice.span;
    this.#tell();
  }

  announce(text: string): void {
    this.announcement = text;
    this.#tell();
  }

  #take(snapshot: Snapshot): void {
    const before = this.snapshot;
    this.rates = ratesBetween(before, snapshot);
    this.cpuShare = cpuBetween(before, snapshot);
    this.history.push(snapshot);
    this.lastMinute.push(snapshot);
    this.snapshot = snapshot;
    this.heardMs = Date.now();
    const isThere = snapshot.listeners.some(({ key }) => key === this.listener);
    if (!isThere) this.listener = null;
    if (before !== null && before.status.ready !== snapshot.status.ready) {
      this.announcement = snapshot.status.ready
        ? "It is ready again."
        : "It is not ready any more.";
    }
    this.#tell();
  }

  #linkIs(state: LinkState): void {
    const before = this.link;
    if (before.kind === "live" && state.kind === "live") return;
    this.link = state;
    if (state.kind === "lost" && before.kind === "live") this.announcement = "The stream is lost.";
    if (state.kind === "live" && before.kind === "lost") this.announcement = "The stream is back.";
    if (state.kind === "locked") keepToken(null);
    this.#tell();
  }

  #tell(): void {
    for (const told of this.#told) told();
  }
}

function cpuBetween(before: Snapshot | null, now: Snapshot): number | null {
  if (before === null || before.status.pid !== now.status.pid) return null;
  const seconds = (now.timeMs - before.timeMs) / 1000;
  return seconds <= 0 ? null : (now.process.cpuSeconds - before.process.cpuSeconds) / seconds;
}
