// One certificate that is kept: what there is of it, how attempts went, and when the next is due. No I/O: manager.ts asks it
// what to do, and tells it what came of it.

import type { CertificateMaterial } from "../../shared/certificates.ts";
import { messageOf } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { Secret } from "../../shared/secret.ts";
import type { Clock } from "./clock.ts";
import { daysOf, FailureVoice } from "./failure-voice.ts";
import type { Held } from "./held.ts";
import { failureOf } from "./issue-error.ts";
import type { Issuer, RenewalWindow } from "./issuer.ts";
import {
  askAgainAt,
  type Attempts,
  begun,
  failed,
  firstAttempt,
  lifetimeOf,
  type Patience,
  patienceAfter,
  recalled,
  renewalAt,
  setBack,
  succeeded,
  UNKNOWN,
} from "./schedule.ts";
import type { Solver } from "./solver.ts";
import type { CertificateFailure, CertificateStatus } from "./status.ts";
import type { RenewalNotes } from "./storage/certificates.ts";
import type { StoredFailure } from "./storage/record.ts";

export interface ManagedOptions {
  /** The first names it. */
  readonly names: readonly string[];
  /** Who may sign it, in order of preference; at least one. */
  readonly issuers: readonly Issuer[];
  /** In order of preference. */
  readonly solvers: readonly Solver[];
  readonly onDemand: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** What the storage says of an attempt until it has ended. */
export const CUT_SHORT = "the attempt was cut short: the proxy ended meanwhile";

/** Whoever asked for an order and waits for what comes of it. */
export type Waiter = PromiseWithResolvers<void>;

export class ManagedCertificate {
  readonly names: readonly string[];
  readonly issuers: readonly Issuer[];
  readonly onDemand: boolean;
  readonly #solvers: readonly Solver[];
  readonly #clock: Clock;
  readonly #voice: FailureVoice;
  #held: Held | null = null;
  /** As it was before the attempt that was made last. */
  #before: { readonly attempts: Attempts; readonly failure: StoredFailure | undefined } | null =
    null;
  /** What listeners show. */
  #shown: CertificateMaterial<Secret> | null = null;
  #window: RenewalWindow | null = null;
  #askAtMs = 0;
  /** Of this certificate, for its place in a window. */
  #chance: number;
  #attempts: Attempts;
  /** By authority, as the storage keeps them. */
  readonly #failures = new Map<string, StoredFailure>();
  #lastFailure: CertificateFailure | null = null;
  /** Somebody signed it who is not asked any more: the configuration names another authority. */
  #isForeign = false;
  /** The next order is not waited for. */
  #wanted = false;
  /** When what the storage has was issued, as far as we have looked; 0: it has none. */
  seenMs = 0;
  /** What the storage has could not be read at the last look. */
  isUnreadable = false;
  readonly waiters: Waiter[] = [];
  /** Somebody is at it: an order, or a question. Aborted when it is managed no more. */
  work: AbortController | null = null;
  isOrdering = false;

  constructor({ names, issuers, solvers, onDemand, clock, log }: ManagedOptions) {
    this.names = names;
    this.issuers = issuers;
    this.onDemand = onDemand;
    this.#clock = clock;
    this.#chance = clock.chance();
    // Types that fit none of its names would only take their turn.
    this.#solvers = solvers.filter((solver) => names.some((name) => solver.unfit(name) === null));
    this.#voice = new FailureVoice(log, names);
    const challenges = this.#solvers.map(({ type }) => type);
    this.#attempts = firstAttempt(
      issuers.map(() => UNKNOWN),
      challenges,
      clock.now(),
    );
  }

  get name(): string {
    return this.names[0]!;
  }

  get held(): Held | null {
    return this.#held;
  }

  /** null: a stand-in is shown. */
  get shown(): CertificateMaterial<Secret> | null {
    return this.#shown;
  }

  /** Who is asked next. */
  get issuer(): Issuer {
    return this.issuers[this.#attempts.authority]!;
  }

  /** In the order in which they are tried next. */
  get solvers(): readonly Solver[] {
    const { challenges } = this.#attempts;
    return this.#solvers.toSorted(
      (a, b) => challenges.indexOf(a.type) - challenges.indexOf(b.type),
    );
  }

  /** What the storage is to keep. */
  get notes(): RenewalNotes {
    return { renewalWindow: this.#window, failures: [...this.#failures.values()] };
  }

  /** When an order is to begin. */
  dueMs(): number {
    if (this.#wanted) return 0;
    const renewalMs =
      this.#held === null || this.#isForeign
        ? 0
        : renewalAt(this.#held.validity, this.#window, this.#chance);
    return Math.max(renewalMs, this.#attempts.atMs);
  }

  /** When its authority is to be asked for a renewal window. */
  askDueMs(): number {
    return this.#held === null || this.#heldIssuer() === undefined ? Infinity : this.#askAtMs;
  }

  /** Who signed what is held; undefined: nobody who is still asked. */
  #heldIssuer(): Issuer | undefined {
    return this.issuers.find(({ name }) => name === this.#held?.stored.authority);
  }

  /** Whom to ask for a renewal window of what. */
  question(): { readonly issuer: Issuer; readonly chain: string } | null {
    const issuer = this.#heldIssuer();
    return issuer === undefined ? null : { issuer, chain: this.#held!.stored.chain };
  }

  /** Told to the authority that signed it; another knows nothing of it. */
  get replaces(): string | null {
    return this.#held?.stored.authority === this.issuer.name ? this.#held.stored.chain : null;
  }

  /** An order as soon as may be, whatever the schedule says. */
  want(): void {
    this.#wanted = true;
  }

  /** What an earlier process, or another one, knows of it. */
  recall({ renewalWindow, failures }: RenewalNotes): void {
    this.#failures.clear();
    for (const failure of failures) this.#failures.set(failure.authority, failure);
    const last = failures.toSorted((a, b) => b.lastMs - a.lastMs)[0];
    this.#lastFailure =
      last === undefined
        ? null
        : { atMs: last.lastMs, authority: last.authority, reason: last.message };
    this.#attempts = recalled(this.#attempts, this.#patience(), this.#clock.now());
    if (renewalWindow === null) return;
    this.#window = renewalWindow;
    this.#askAtMs = askAgainAt(renewalWindow, this.#clock.now());
  }

  /**
   * This one is in use from now on.
   * @returns whether listeners have to be told.
   */
  adopt(held: Held): boolean {
    const before = this.#shown;
    const isNew = held.stored.chain !== this.#held?.stored.chain;
    this.#held = held;
    this.seenMs = held.stored.issuedMs;
    const isExpired = held.validity.notAfterMs <= this.#clock.now();
    this.#shown = isExpired ? null : held.material;
    if (isNew) {
      this.#window = null;
      this.#askAtMs = 0;
      this.#chance = this.#clock.chance();
    }
    return isNew && (this.#shown !== null || before !== null);
  }

  /** What the storage had at the start. Of a process that runs, another may have its own view of who is to sign. */
  found(held: Held): void {
    this.adopt(held);
    this.#isForeign = this.#heldIssuer() === undefined;
  }

  /** It is not to be used any more, and shown until there is another. */
  disown(): void {
    this.#held = null;
    this.#window = null;
  }

  begun(): void {
    const failure = this.#failures.get(this.issuer.name);
    this.#before = { attempts: this.#attempts, failure };
    this.#attempts = begun(this.#attempts, this.#clock.now());
    this.#note(CUT_SHORT, null, true);
  }

  /** The attempt was given up since nobody wants it now: it has not failed, and the authority is not to be spared for it. */
  tookBack(): void {
    if (this.#before === null) return;
    const { attempts, failure } = this.#before;
    this.#attempts = attempts;
    if (failure === undefined) this.#failures.delete(this.issuer.name);
    else this.#failures.set(this.issuer.name, failure);
  }

  /** The order ended well, or another process made one. */
  obtained(held: Held): boolean {
    const nowMs = this.#clock.now();
    this.#before = null;
    const { failures } = this.#attempts;
    const changed = this.adopt(held);
    this.#isForeign = false;
    this.#attempts = succeeded(this.#attempts, nowMs);
    this.#failures.clear();
    this.#lastFailure = null;
    this.#wanted = false;
    this.#voice.obtained(held.stored.authority, held.validity.notAfterMs, failures, nowMs);
    return changed;
  }

  failed(error: unknown): void {
    const failure = failureOf(error);
    // What the authority counts are names that it could not verify; one that is away counts nothing.
    const isCounted = failure.failedChallenges.length > 0;
    if (!isCounted && this.#before !== null) this.#attempts = this.#before.attempts;
    this.#before = null;
    const { name } = this.issuer;
    const nowMs = this.#clock.now();
    const held = this.#held;
    const lifetimeMs = held === null ? null : lifetimeOf(held.validity);
    this.#wanted = false;
    const reason = messageOf(error);
    const chance = this.#clock.chance();
    this.#note(reason, error, false);
    this.#lastFailure = { atMs: nowMs, authority: name, reason };
    this.#attempts = failed(this.#attempts, failure, nowMs, lifetimeMs, chance);
    this.#voice.failed(
      {
        authority: name,
        reason,
        failures: this.#attempts.failures,
        notAfterMs: held?.validity.notAfterMs ?? null,
        lifetimeMs: lifetimeMs ?? 0,
        nextMs: this.dueMs(),
      },
      nowMs,
    );
  }

  /** The clock was. */
  setBack(byMs: number): void {
    this.#attempts = setBack(this.#attempts, byMs);
    this.#askAtMs -= byMs;
  }

  /** The authority has answered, or not. @returns whether it gives a reason that it has not given before. */
  answered(window: RenewalWindow | null): boolean {
    const before = this.#window?.explanationUrl ?? null;
    this.#window = window ?? this.#window;
    this.#askAtMs = askAgainAt(window, this.#clock.now());
    return window !== null && window.explanationUrl !== null && window.explanationUrl !== before;
  }

  status(): CertificateStatus {
    const nowMs = this.#clock.now();
    const validity = this.#held?.validity;
    const isExpired = validity !== undefined && validity.notAfterMs <= nowMs;
    return {
      names: this.names,
      state: validity === undefined ? "missing" : isExpired ? "expired" : "valid",
      authority: this.#held?.stored.authority ?? null,
      notBeforeMs: validity?.notBeforeMs ?? null,
      notAfterMs: validity?.notAfterMs ?? null,
      daysLeft: validity === undefined ? null : daysOf(validity.notAfterMs - nowMs),
      nextAttemptMs: Math.max(nowMs, this.dueMs()),
      ordering: this.isOrdering,
      failures: this.#attempts.failures,
      lastFailure: this.#lastFailure,
      onDemand: this.onDemand,
    };
  }

  /** What the storage is to know of an attempt with the authority whose turn it is. */
  #note(message: string, error: unknown, isNew: boolean): void {
    const nowMs = this.#clock.now();
    const { name: authority } = this.issuer;
    const before = this.#failures.get(authority);
    this.#failures.set(authority, {
      authority,
      count: (before?.count ?? 0) + (isNew ? 1 : 0),
      firstMs: before?.firstMs ?? nowMs,
      lastMs: nowMs,
      recentMs: this.#attempts.patience[this.#attempts.authority]!.recentMs,
      ...failureOf(error),
      message,
    });
  }

  #patience(): Patience[] {
    const nowMs = this.#clock.now();
    return this.issuers.map(({ name }) => {
      const failure = this.#failures.get(name);
      return failure === undefined ? UNKNOWN : patienceAfter(failure, nowMs);
    });
  }
}
