// What happened in a run: what was done to the proxy and its backends, how exchanges ended, and what was wrong. Whoever
// behaves is to be served; an exchange that failed is forgiven only for something that was done to exactly its part of the
// proxy while it went on.

/** Whom a disturbance may have met: everybody, the clients of one port, or whoever is led to a group of targets. */
export type Scope = "all" | `port ${number}` | `group ${string}` | `listener ${string}`;

export interface Disturbance {
  readonly what: string;
  readonly scope: Scope;
  readonly fromMs: number;
  untilMs: number;
}

/** What was cut may be noticed this much later. */
const AFTERMATH_MS = 500;
/** A disturbance older than any exchange is forgotten. */
const KEPT_MS = 120_000;

export class Journal {
  readonly violations: string[] = [];
  /** What failed and was forgiven. */
  readonly excused: string[] = [];
  /** By name. */
  readonly counts = new Map<string, number>();
  #disturbances: Disturbance[] = [];
  readonly #begin = performance.now();

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  violate(what: string): void {
    this.violations.push(`${this.#seconds()}: ${what}`);
  }

  #seconds(): string {
    return `after ${((performance.now() - this.#begin) / 1000).toFixed(1)} s`;
  }

  /** @returns what ends it; until then it goes on. @param aftermathMs after that it may still be noticed. */
  disturb(scope: Scope, what: string, aftermathMs = AFTERMATH_MS): () => void {
    const now = performance.now();
    const disturbance: Disturbance = { what, scope, fromMs: now, untilMs: Infinity };
    this.#disturbances = this.#disturbances.filter(({ untilMs }) => now - untilMs < KEPT_MS);
    this.#disturbances.push(disturbance);
    return () => void (disturbance.untilMs = performance.now() + aftermathMs);
  }

  /** Something that is done at once. */
  disturbNow(scope: Scope, what: string): void {
    this.disturb(scope, what)();
  }

  /** What may have met somebody who has been there since then; null: nothing. */
  excuseFor(scopes: readonly Scope[], sinceMs: number): string | null {
    const met = this.#disturbances.find(
      ({ scope, untilMs }) => untilMs >= sinceMs && (scope === "all" || scopes.includes(scope)),
    );
    return met?.what ?? null;
  }

  /** Somebody who behaves was not served. */
  failed(who: string, scopes: readonly Scope[], sinceMs: number): void {
    const excuse = this.excuseFor(scopes, sinceMs);
    if (excuse === null) this.violate(who);
    else {
      this.count(`failed by: ${excuse}`);
      this.excused.push(`${this.#seconds()}, by ${excuse}: ${who}`);
    }
  }
}
