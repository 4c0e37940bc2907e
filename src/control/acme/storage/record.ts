// certificate.json: what is known of one certificate beside its two files. The manager's schedule lives in it, so that a
// restart forgets no failure and no window. Without I/O. Called by certificates.ts.

import type { ChallengeType } from "../../../shared/auto-tls-plan.ts";
import type { RenewalWindow } from "../issuer.ts";
import { Fields, jsonText, optionalTimeText, timeText } from "./fields.ts";

/** Attempts with one authority that failed since the last certificate. */
export interface StoredFailure {
  /** AuthorityPlan.name */
  readonly authority: string;
  /** In a row. */
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
  /** When the latest were begun, which authorities limit: each process that shares the storage heeds them. */
  readonly recentMs: readonly number[];
  /** The authority's own word (IssueFailure); null: none. */
  readonly notBeforeMs: number | null;
  readonly isFinal: boolean;
  readonly failedChallenges: readonly { readonly name: string; readonly type: ChallengeType }[];
  /** Of the last, for people. */
  readonly message: string;
}

export interface StoredVersion {
  /** Its folder's name. */
  readonly version: string;
  /** AuthorityPlan.name, or `internal`. */
  readonly authority: string;
  readonly issuedMs: number;
}

export interface CertificateRecord {
  /** The first names it. */
  readonly names: readonly string[];
  /** null: none has been issued yet. */
  readonly current: StoredVersion | null;
  /** The one before, which stays until the next. */
  readonly replaced: StoredVersion | null;
  /** Of `current` (ARI); null: the authority has said nothing. */
  readonly renewalWindow: RenewalWindow | null;
  readonly failures: readonly StoredFailure[];
}

const CHALLENGES: readonly ChallengeType[] = ["http-01", "tls-alpn-01", "dns-01"];

export function encodeRecord(record: CertificateRecord): string {
  const { names, current, replaced, renewalWindow, failures } = record;
  return jsonText({
    names,
    current: current && encodeVersion(current),
    replaced: replaced && encodeVersion(replaced),
    renewalWindow: renewalWindow && {
      start: timeText(renewalWindow.startMs),
      end: timeText(renewalWindow.endMs),
      explanationUrl: renewalWindow.explanationUrl,
      askAgain: timeText(renewalWindow.askAgainMs),
    },
    failures: failures.map((failure) => ({
      authority: failure.authority,
      count: failure.count,
      first: timeText(failure.firstMs),
      last: timeText(failure.lastMs),
      recent: failure.recentMs.map(timeText),
      notBefore: optionalTimeText(failure.notBeforeMs),
      isFinal: failure.isFinal,
      failedChallenges: failure.failedChallenges,
      message: failure.message,
    })),
  });
}

/** @param path for messages. @throws ProxyError ERR_STORAGE */
export function decodeRecord(path: string, text: string): CertificateRecord {
  const fields = Fields.parse(path, text);
  const window = fields.optionalFields("renewalWindow");
  return {
    names: fields.strings("names"),
    current: decodeVersion(fields.optionalFields("current")),
    replaced: decodeVersion(fields.optionalFields("replaced")),
    renewalWindow: window && {
      startMs: window.time("start"),
      endMs: window.time("end"),
      explanationUrl: window.optionalString("explanationUrl"),
      askAgainMs: window.time("askAgain"),
    },
    failures: fields.list("failures").map((failure) => ({
      authority: failure.string("authority"),
      count: failure.count("count"),
      firstMs: failure.time("first"),
      lastMs: failure.time("last"),
      recentMs: failure.times("recent"),
      notBeforeMs: failure.optionalTime("notBefore"),
      isFinal: failure.flag("isFinal"),
      failedChallenges: failure
        .list("failedChallenges")
        .map((each) => ({ name: each.string("name"), type: each.oneOf("type", CHALLENGES) })),
      message: failure.string("message"),
    })),
  };
}

function encodeVersion({ version, authority, issuedMs }: StoredVersion): unknown {
  return { version, authority, issued: timeText(issuedMs) };
}

function decodeVersion(fields: Fields | null): StoredVersion | null {
  if (fields === null) return null;
  return {
    version: fields.string("version"),
    authority: fields.string("authority"),
    issuedMs: fields.time("issued"),
  };
}
