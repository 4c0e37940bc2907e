// When certificates are renewed and failures are tried again: in bounds whatever authorities say, never too late, never too
// often.

import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import type { IssueFailure, RenewalWindow } from "../../../src/control/acme/issuer.ts";
import {
  askAgainAt,
  type Attempts,
  begun,
  failed,
  firstAttempt,
  lifetimeOf,
  renewalAt,
  succeeded,
  UNKNOWN,
  type Validity,
  waitAfter,
} from "../../../src/control/acme/schedule.ts";
import { RETRIES, SCHEDULE } from "../../../src/shared/auto-tls-limits.ts";
import type { ChallengeType } from "../../../src/shared/auto-tls-plan.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 0, 1);

const ALL: readonly ChallengeType[] = ["tls-alpn-01", "http-01", "dns-01"];
const PLAIN: IssueFailure = { notBeforeMs: null, isFinal: false, failedChallenges: [] };

function refusedBy(...types: ChallengeType[]): IssueFailure {
  return { ...PLAIN, failedChallenges: types.map((type) => ({ name: "a.example", type })) };
}

/** As issued now, valid since an hour. */
function validFor(lifetimeMs: number): Validity {
  return { notBeforeMs: NOW - HOUR, notAfterMs: NOW + lifetimeMs, obtainedMs: NOW };
}

function windowOf(startMs: number, endMs: number): RenewalWindow {
  return { startMs, endMs, explanationUrl: null, askAgainMs: NOW + 6 * HOUR };
}

const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const lifetime = fc.integer({ min: 2 * MINUTE, max: 400 * DAY });
const time = fc.integer({ min: NOW - 400 * DAY, max: NOW + 800 * DAY });
const window = fc.tuple(time, time).map(([a, b]) => windowOf(a, b));

describe("a renewal", () => {
  test("is due at two thirds of the lifetime, or a little earlier by chance", () => {
    for (const days of [90, 45, 6, 1 / 288]) {
      const lifetimeMs = days * DAY;
      expect(renewalAt(validFor(lifetimeMs), null, 0)).toBeCloseTo(NOW + lifetimeMs * (2 / 3), 0);
      const earliest = renewalAt(validFor(lifetimeMs), null, 0.999_999_999);
      expect(earliest).toBeCloseTo(NOW + lifetimeMs * (2 / 3 - 1 / 30), 0);
    }
  });

  test("is in the authority's window, where the certificate's chance puts it", () => {
    const offered = windowOf(NOW + 50 * DAY, NOW + 52 * DAY);
    expect(renewalAt(validFor(90 * DAY), offered, 0)).toBe(NOW + 50 * DAY);
    expect(renewalAt(validFor(90 * DAY), offered, 0.5)).toBe(NOW + 51 * DAY);
  });

  test("is overdue where the window is", () => {
    const validity = {
      ...validFor(60 * DAY),
      notBeforeMs: NOW - 31 * DAY,
      obtainedMs: NOW - 31 * DAY,
    };
    expect(renewalAt(validity, windowOf(NOW - 2 * DAY, NOW - DAY), 0.5)).toBeLessThan(NOW);
  });

  test("does not heed a window that ends before it begins (RFC 9773 section 4.2)", () => {
    const backwards = windowOf(NOW + 52 * DAY, NOW + 50 * DAY);
    expect(renewalAt(validFor(90 * DAY), backwards, 0.5)).toBe(
      renewalAt(validFor(90 * DAY), null, 0.5),
    );
  });

  test("is never at once after the certificate came, and never near its end, whatever the authority says", () => {
    fc.assert(
      fc.property(lifetime, fc.option(window), chance, (lifetimeMs, offered, at) => {
        const due = renewalAt(validFor(lifetimeMs), offered, at);
        expect(due).toBeGreaterThanOrEqual(NOW + Math.min(DAY, lifetimeMs / 12) - 1);
        expect(due).toBeLessThanOrEqual(NOW + lifetimeMs * 0.9 + 1);
      }),
    );
  });

  test("of a certificate that came when it had expired is due", () => {
    const validity = { notBeforeMs: NOW - 2 * DAY, notAfterMs: NOW - DAY, obtainedMs: NOW };
    expect(lifetimeOf(validity)).toBe(1);
    expect(renewalAt(validity, null, 0.5)).toBeLessThan(NOW);
  });

  test("window is asked for again within a day, and not within a minute", () => {
    expect(askAgainAt(null, NOW)).toBe(NOW + 6 * HOUR);
    expect(askAgainAt({ ...windowOf(NOW, NOW + 1), askAgainMs: 0 }, NOW)).toBe(NOW + MINUTE);
    const late = { ...windowOf(NOW, NOW + 1), askAgainMs: NOW + 90 * DAY };
    expect(askAgainAt(late, NOW)).toBe(NOW + DAY);
  });
});

/** What attempts that all fail do, one line each: after how many seconds, with which authority, and by which challenge. */
function story(authorities: number, failures: readonly IssueFailure[]): string[] {
  let attempts = firstAttempt(
    Array.from({ length: authorities }, () => UNKNOWN),
    ALL,
    NOW,
  );
  let last = NOW;
  return failures.map((failure) => {
    const { atMs, authority, challenges } = attempts;
    const line = `+${Math.round((atMs - last) / 1_000)} ${authority} ${challenges[0]}`;
    last = atMs;
    attempts = failed(begun(attempts, atMs), failure, atMs, null, 0);
    return line;
  });
}

describe("after a failure", () => {
  test("the table has thirty days, and then a day after each", () => {
    const rows = RETRIES.slice(0, -1);
    const sum = rows.reduce((before, { waitMs, times }) => before + waitMs * times, 0);
    expect(sum / DAY).toBeGreaterThan(29);
    expect(sum / DAY).toBeLessThan(30.1);
    expect(waitAfter(10_000, null)).toBe(DAY);
    expect(Array.from({ length: 7 }, (_, i) => waitAfter(i, null) / MINUTE)).toEqual([
      1, 2, 2, 5, 10, 10, 20,
    ]);
  });

  test("the same authority is tried twice, then the next, and in the end the first again", () => {
    const down = Array.from({ length: 6 }, () => PLAIN);
    expect(story(2, down).map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
      "+0 0",
      "+60 0",
      "+120 1",
      "+120 1",
      "+300 0",
      "+600 0",
    ]);
  });

  test("of a challenge, the others are tried at once, then there is a wait", () => {
    const refused = [...ALL, ALL[0]!].map((type) => refusedBy(type));
    expect(story(1, refused)).toEqual([
      "+0 0 tls-alpn-01",
      "+1 0 http-01",
      "+1 0 dns-01",
      "+60 0 tls-alpn-01",
    ]);
  });

  test("that is final, or asks for patience, the next authority is tried at once, and the first when it may be", () => {
    const final = { ...PLAIN, isFinal: true };
    expect(story(2, [final, final, PLAIN])).toEqual([
      "+0 0 tls-alpn-01",
      "+1 1 tls-alpn-01",
      `+${(6 * HOUR) / 1_000 - 1} 0 tls-alpn-01`,
    ]);
    const patience = { ...PLAIN, notBeforeMs: NOW + 2 * HOUR };
    expect(story(1, [patience, PLAIN])).toEqual(["+0 0 tls-alpn-01", "+7200 0 tls-alpn-01"]);
  });

  test("Retry-After is believed up to a bound", () => {
    const absurd = { ...PLAIN, notBeforeMs: NOW + 4_000 * DAY };
    const attempts = failed(firstAttempt([UNKNOWN], ALL, NOW), absurd, NOW, null, 0);
    expect(attempts.atMs).toBe(NOW + SCHEDULE.notBeforeMaxMs);
  });

  test("a success begins anew, with the challenge that went well", () => {
    const first = firstAttempt([UNKNOWN, UNKNOWN], ALL, NOW);
    const second = failed(begun(first, NOW), refusedBy("tls-alpn-01"), NOW, null, 0);
    const after = succeeded(begun(second, NOW), NOW);
    expect(after).toMatchObject({ failures: 0, authority: 0 });
    expect(after.challenges).toEqual(["http-01", "dns-01", "tls-alpn-01"]);
    expect(after.patience.flatMap(({ recentMs }) => recentMs)).toEqual([]);
  });

  test("attempts of an earlier process count", () => {
    const recentMs = [0, 1, 2, 3].map((i) => NOW - i * MINUTE).toReversed();
    const spent = { notBeforeMs: 0, recentMs };
    expect(firstAttempt([spent], ALL, NOW).atMs).toBe(NOW - 3 * MINUTE + HOUR);
    expect(firstAttempt([spent, UNKNOWN], ALL, NOW)).toMatchObject({ atMs: NOW, authority: 1 });
  });
});

const failure: fc.Arbitrary<IssueFailure> = fc.record({
  notBeforeMs: fc.option(time, { freq: 8 }),
  isFinal: fc.boolean(),
  failedChallenges: fc
    .subarray([...ALL])
    .map((types) => types.map((type) => ({ name: "a.example", type }))),
});

interface Attempt {
  readonly atMs: number;
  readonly authority: number;
  readonly after: Attempts;
}

/** Attempts that fail one after the other, each when it is due. */
function run(authorities: number, failures: readonly IssueFailure[], chances: number): Attempt[] {
  let attempts = firstAttempt(
    Array.from({ length: authorities }, () => UNKNOWN),
    ALL,
    NOW,
  );
  return failures.map((each) => {
    const { atMs, authority } = attempts;
    attempts = failed(begun(attempts, atMs), each, atMs, null, chances);
    return { atMs, authority, after: attempts };
  });
}

const failures = fc.array(failure, { minLength: 1, maxLength: 60 });
const authorities = fc.integer({ min: 1, max: 3 });

test("no authority is asked more often in an hour than it allows, however attempts fail", () => {
  fc.assert(
    fc.property(authorities, failures, chance, (count, each, at) => {
      const attempts = run(count, each, at);
      for (const { atMs, authority } of attempts) {
        const within = attempts.filter(
          (other) =>
            other.authority === authority && other.atMs > atMs - HOUR && other.atMs <= atMs,
        );
        expect(within.length).toBeLessThanOrEqual(SCHEDULE.attemptsPerWindow);
      }
    }),
  );
});

test("there always is a next attempt, within a day unless authorities ask for patience", () => {
  fc.assert(
    fc.property(authorities, failures, chance, (count, each, at) => {
      for (const { atMs, after } of run(count, each, at)) {
        expect(after.atMs).toBeGreaterThan(atMs);
        const patience = Math.min(...after.patience.map(({ notBeforeMs }) => notBeforeMs));
        const latest = Math.max(atMs + DAY * (1 + SCHEDULE.jitter), patience);
        expect(after.atMs).toBeLessThanOrEqual(latest + HOUR);
        expect(after.authority).toBeLessThan(count);
        expect(after.challenges.toSorted()).toEqual([...ALL].toSorted());
      }
    }),
  );
});

test("jitter only adds, and at most its share", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 300 }), chance, (waits, at) => {
      const before = { ...firstAttempt([UNKNOWN], [], NOW), waits };
      const wait = failed(before, PLAIN, NOW, null, at).atMs - NOW;
      expect(wait).toBeGreaterThanOrEqual(waitAfter(waits, null));
      expect(wait).toBeLessThanOrEqual(waitAfter(waits, null) * (1 + SCHEDULE.jitter));
    }),
  );
});

test("several attempts fit between the renewal's time and the end, whatever the lifetime", () => {
  fc.assert(
    fc.property(lifetime, fc.option(window), chance, (lifetimeMs, offered, at) => {
      const validity = validFor(lifetimeMs);
      let attempts = firstAttempt([UNKNOWN], [], renewalAt(validity, offered, at));
      let count = 0;
      while (attempts.atMs < validity.notAfterMs) {
        count++;
        const nowMs = attempts.atMs;
        attempts = failed(begun(attempts, nowMs), PLAIN, nowMs, lifetimeMs, at);
      }
      expect(count).toBeGreaterThanOrEqual(2);
    }),
  );
});
