// When a certificate is renewed, and what is tried again when, with which authority and which challenge, after a failure. Pure:
// time and chance are parameters. Called by managed-certificate.ts.
//
// Invariant: there always is a next attempt, and of those that an authority counts no more than SCHEDULE.attemptsPerWindow.

import { RETRIES, SCHEDULE } from "../../shared/auto-tls-limits.ts";
import type { ChallengeType } from "../../shared/auto-tls-plan.ts";
import type { IssueFailure, RenewalWindow } from "./issuer.ts";

/** Unix time in milliseconds. */
export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** When it came: authorities put notBefore into the past, as clocks differ. */
  readonly obtainedMs: number;
}

/** What is left of a certificate's life when it comes, which is what a client that gets it then sees. Never 0. */
export function lifetimeOf({ notBeforeMs, notAfterMs, obtainedMs }: Validity): number {
  return Math.max(1, notAfterMs - Math.max(notBeforeMs, Math.min(obtainedMs, notAfterMs - 1)));
}

/**
 * When to renew: at a random time in the window of the authority (RFC 9773 section 4.2), which may be over; without one, at two
 * thirds of the lifetime. Never late in the lifetime, whatever the window says, and never at once after it came.
 * @param chance of this certificate, [0, 1): the same at every call, or whoever asks often renews early.
 */
export function renewalAt(
  validity: Validity,
  window: RenewalWindow | null,
  chance: number,
): number {
  const lifetime = lifetimeOf(validity);
  const came = validity.notAfterMs - lifetime;
  const usable = window !== null && window.endMs > window.startMs; // otherwise as if there was none: section 4.2
  const wanted = usable
    ? window.startMs + (window.endMs - window.startMs) * chance
    : came + lifetime * (SCHEDULE.renewAt - SCHEDULE.renewEarlier * chance);
  const earliest = came + Math.min(SCHEDULE.renewAgainMs, lifetime / SCHEDULE.stepsInLifetime);
  return Math.min(Math.max(wanted, earliest), came + lifetime * SCHEDULE.renewLatest);
}

/** When the authority is asked for its window again. @param window what it said; null: nothing, or nothing of use. */
export function askAgainAt(window: RenewalWindow | null, nowMs: number): number {
  const wanted = window?.askAgainMs ?? nowMs + SCHEDULE.askAgainFailedMs;
  const { askAgainMinMs, askAgainMaxMs } = SCHEDULE;
  return Math.min(Math.max(wanted, nowMs + askAgainMinMs), nowMs + askAgainMaxMs);
}

/** Of one authority, for one certificate. */
export interface Patience {
  /** Not asked before. */
  readonly notBeforeMs: number;
  /** When attempts that did not end well were begun, of the last window. */
  readonly recentMs: readonly number[];
}

/** What is known of the attempts at one certificate since the last that ended well. */
export interface Attempts {
  /** In a row. */
  readonly failures: number;
  /** When the next one is due, and with which authority, by index. */
  readonly atMs: number;
  readonly authority: number;
  /** In which order challenges are tried. */
  readonly challenges: readonly ChallengeType[];
  /** Failures that RETRIES was asked for. */
  readonly waits: number;
  /** With this authority since its turn came. */
  readonly triesHere: number;
  readonly failedHere: readonly ChallengeType[];
  readonly patience: readonly Patience[];
}

/** Nothing is known of an authority. */
export const UNKNOWN: Patience = { notBeforeMs: 0, recentMs: [] };

/** What was noted of attempts, by this process or another. */
interface Noted {
  readonly lastMs: number;
  readonly notBeforeMs: number | null;
  readonly recentMs: readonly number[];
}

/** What of it holds: nothing that a clock noted which was ahead, and no wait that is longer than what is believed. */
export function patienceAfter({ lastMs, notBeforeMs, recentMs }: Noted, nowMs: number): Patience {
  if (lastMs > nowMs + SCHEDULE.windowMs) return UNKNOWN;
  return { notBeforeMs: Math.min(notBeforeMs ?? 0, lastMs + SCHEDULE.notBeforeMaxMs), recentMs };
}

/** @param patience with each authority, in order of preference: what an earlier process has left of it. */
export function firstAttempt(
  patience: readonly Patience[],
  challenges: readonly ChallengeType[],
  nowMs: number,
): Attempts {
  const fresh: Attempts = {
    failures: 0,
    atMs: nowMs,
    authority: 0,
    challenges,
    waits: 0,
    triesHere: 0,
    failedHere: [],
    patience,
  };
  return withAuthority(fresh, 0, nowMs, SCHEDULE.windowMs);
}

/** What another process, or an earlier one, has tried with the authorities meanwhile. */
export function recalled(
  attempts: Attempts,
  patience: readonly Patience[],
  nowMs: number,
): Attempts {
  return withAuthority({ ...attempts, patience }, attempts.authority, nowMs, SCHEDULE.windowMs);
}

/** The clock was set back by so much: what is to come comes when it was meant to. */
export function setBack(attempts: Attempts, byMs: number): Attempts {
  const { atMs, patience } = attempts;
  return {
    ...attempts,
    atMs: atMs - byMs,
    patience: patience.map(({ notBeforeMs, recentMs }) => ({
      notBeforeMs: notBeforeMs - byMs,
      recentMs: recentMs.map((each) => each - byMs),
    })),
  };
}

/** An attempt is made: it counts as failed until it has ended well. */
export function begun(attempts: Attempts, nowMs: number): Attempts {
  const { authority, patience } = attempts;
  return {
    ...attempts,
    patience: patience.map((each, i) =>
      i === authority ? { ...each, recentMs: [...each.recentMs, nowMs] } : each,
    ),
  };
}

/** The first authority is asked again next time, with the challenge that went well. */
export function succeeded(attempts: Attempts, nowMs: number): Attempts {
  const { patience, challenges } = attempts;
  return firstAttempt(
    patience.map(() => UNKNOWN),
    challenges,
    nowMs,
  );
}

/**
 * What follows on a failure: another challenge at once where one is left, another authority where this one is of no use for now
 * or has failed twice, otherwise a wait by RETRIES.
 * @param lifetimeMs of the certificate that is renewed; null: there is none.
 * @param chance [0, 1)
 */
export function failed(
  before: Attempts,
  failure: IssueFailure,
  nowMs: number,
  lifetimeMs: number | null,
  chance: number,
): Attempts {
  const windowMs = windowOf(lifetimeMs);
  const patience = before.patience.map((each, i) => ({
    notBeforeMs: i === before.authority ? notBefore(failure, nowMs) : each.notBeforeMs,
    recentMs: each.recentMs.filter((atMs) => atMs > nowMs - windowMs),
  }));
  const types = new Set(failure.failedChallenges.map(({ type }) => type));
  const challenges = [
    ...before.challenges.filter((type) => !types.has(type)),
    ...before.challenges.filter((type) => types.has(type)),
  ];
  const failedHere = [...new Set([...before.failedHere, ...types])];
  const after = {
    ...before,
    failures: before.failures + 1,
    patience,
    challenges,
    failedHere,
    triesHere: before.triesHere + 1,
  };
  const isNews = failedHere.length > before.failedHere.length;
  const useless = patience[before.authority]!.notBeforeMs > nowMs;
  const quickAt = nowMs + SCHEDULE.failoverMs;
  if (!useless && isNews && challenges.some((type) => !failedHere.includes(type))) {
    const same = { ...after, triesHere: before.triesHere };
    return withAuthority(same, before.authority, quickAt, windowMs);
  }
  const isOver = useless || after.triesHere >= SCHEDULE.triesPerAuthority;
  const next = isOver ? (before.authority + 1) % patience.length : before.authority;
  const isReady = patience.some((each) => availableAt(each, windowMs) <= quickAt);
  if (useless && isReady) return withAuthority(after, next, quickAt, windowMs);
  const atMs = nowMs + waitAfter(before.waits, lifetimeMs) * (1 + SCHEDULE.jitter * chance);
  return withAuthority({ ...after, waits: before.waits + 1 }, next, atMs, windowMs);
}

/** By the table; with little lifetime left to lose, several attempts fit into it. */
export function waitAfter(waits: number, lifetimeMs: number | null): number {
  let left = waits;
  const row = RETRIES.find(({ times }) => (left -= times) < 0)!; // the last one has no end
  if (lifetimeMs === null) return row.waitMs;
  const { stepsInLifetime, stepMinMs } = SCHEDULE;
  return Math.min(row.waitMs, Math.max(stepMinMs, lifetimeMs / stepsInLifetime));
}

/** Who issues for less than some hours means to be asked often. */
function windowOf(lifetimeMs: number | null): number {
  const share = (lifetimeMs ?? Infinity) / 4;
  return Math.min(SCHEDULE.windowMs, share);
}

function notBefore({ notBeforeMs, isFinal }: IssueFailure, nowMs: number): number {
  const asked = Math.min(notBeforeMs ?? 0, nowMs + SCHEDULE.notBeforeMaxMs);
  return Math.max(asked, isFinal ? nowMs + SCHEDULE.finalMs : 0);
}

/** One that may be asked by then, beginning with the one whose turn it is; if none may, whoever may first. */
function withAuthority(
  attempts: Attempts,
  first: number,
  atMs: number,
  windowMs: number,
): Attempts {
  const { patience } = attempts;
  const inTurn = patience.map((_, i) => (first + i) % patience.length);
  const times = inTurn.map((i) => Math.max(atMs, availableAt(patience[i]!, windowMs)));
  const soonest = Math.min(...times);
  const authority = inTurn[times.indexOf(soonest)]!;
  const next = { ...attempts, atMs: soonest, authority };
  return authority === attempts.authority && attempts.triesHere < SCHEDULE.triesPerAuthority
    ? next
    : { ...next, triesHere: 0, failedHere: [] };
}

function availableAt({ notBeforeMs, recentMs }: Patience, windowMs: number): number {
  const oldest = recentMs.at(-SCHEDULE.attemptsPerWindow); // undefined: there were fewer
  return Math.max(notBeforeMs, oldest === undefined ? 0 : oldest + windowMs);
}
