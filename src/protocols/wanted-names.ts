// Names that clients of one listener ask for and that no certificate covers, while it is asked for one (TlsServerPlan.onDemand):
// handshakes over TCP wait here, those over QUIC come again by themselves. Bounded in names, handshakes and time.
//
//   wait, want ──▶ ASKED ── arrived ──▶ granted
//                    │──── deny ─────▶ DENIED for a moment: who asks then is denied at once
//                    └──── waitMs ───▶ forgotten
//
// Invariant: each waiter is told once, unless it left or the listener stopped.

import { monotonicMs } from "../shared/clock.ts";
import type { TlsServerPlan } from "../shared/http-plan.ts";
import { ON_DEMAND } from "../shared/limits.ts";
import type { GatewayHost } from "./host.ts";

export interface Waiter {
  granted(): void;
  /** @param why for people. */
  denied(why: string): void;
}

interface Asked {
  readonly untilMs: number;
  readonly waiters: Set<Waiter>;
}

export class WantedNames {
  readonly #ask: (name: string) => void;
  readonly #waitMs: number;
  /** In the order of asking, so of their ends, too. */
  readonly #asked = new Map<string, Asked>();
  /** Until when, in the order of denial. */
  readonly #denied = new Map<string, number>();
  #closed = false;
  #waiting = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** @param ask tells the control plane. @param waitMs another time than ON_DEMAND.waitMs, for tests. */
  constructor(ask: (name: string) => void, waitMs: number = ON_DEMAND.waitMs) {
    this.#ask = ask;
    this.#waitMs = waitMs;
  }

  /** @returns null: the waiter will be told; otherwise why it will not wait. */
  wait(name: string, waiter: Waiter): string | null {
    if (this.#closed || this.isDenied(name)) return noCertificate(name);
    if (this.#waiting >= ON_DEMAND.handshakesMax)
      return "too many handshakes wait for a certificate";
    const asked = this.#begin(name);
    if (asked === null) return "too many names wait for a certificate";
    asked.waiters.add(waiter);
    this.#waiting++;
    return null;
  }

  /** Nobody waits: the client will ask again. */
  want(name: string): void {
    if (!this.#closed && !this.isDenied(name)) this.#begin(name);
  }

  leave(name: string, waiter: Waiter): void {
    if (this.#asked.get(name)?.waiters.delete(waiter) === true) this.#waiting--;
  }

  isDenied(name: string): boolean {
    const untilMs = this.#denied.get(name);
    return untilMs !== undefined && monotonicMs() < untilMs;
  }

  deny(name: string): void {
    if (!this.#asked.has(name)) return;
    this.#denied.delete(name);
    for (const [oldest] of this.#denied) {
      if (this.#denied.size < ON_DEMAND.denialsMax) break;
      this.#denied.delete(oldest);
    }
    this.#denied.set(name, monotonicMs() + ON_DEMAND.denialMs);
    for (const waiter of this.#end(name)) waiter.denied(noCertificate(name));
  }

  /** There are other certificates. */
  arrived(covers: (name: string) => boolean): void {
    for (const name of this.#asked.keys()) {
      if (covers(name)) for (const waiter of this.#end(name)) waiter.granted();
    }
  }

  /** The listener drains: who waits is denied now, and has another listener to ask. */
  close(): void {
    this.#closed = true;
    for (const name of this.#asked.keys()) {
      for (const waiter of this.#end(name)) waiter.denied("the listener was closed");
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #begin(name: string): Asked | null {
    const before = this.#asked.get(name);
    if (before !== undefined) return before;
    if (this.#asked.size >= ON_DEMAND.namesMax) return null;
    const asked = { untilMs: monotonicMs() + this.#waitMs, waiters: new Set<Waiter>() };
    this.#asked.set(name, asked);
    this.#timer ??= setTimeout(() => this.#expire(), this.#waitMs);
    this.#ask(name);
    return asked;
  }

  #end(name: string): ReadonlySet<Waiter> {
    const { waiters } = this.#asked.get(name)!;
    this.#asked.delete(name);
    this.#waiting -= waiters.size;
    return waiters;
  }

  #expire(): void {
    this.#timer = null;
    const now = monotonicMs();
    for (const [name, { untilMs }] of this.#asked) {
      if (untilMs > now) {
        this.#timer = setTimeout(() => this.#expire(), untilMs - now);
        return;
      }
      const why = `no certificate for ${name} within ${this.#waitMs} ms`;
      for (const waiter of this.#end(name)) waiter.denied(why);
    }
  }
}

/** @returns null where the plan asks for none at handshakes. */
export function wantedNamesFor(
  { emit }: Pick<GatewayHost, "emit">,
  key: string,
  tls: TlsServerPlan | null,
): WantedNames | null {
  if (tls?.onDemand !== true) return null;
  return new WantedNames((name) => emit({ type: "certificate_wanted", key, name }));
}

function noCertificate(name: string): string {
  return `there is no certificate for ${name}`;
}
