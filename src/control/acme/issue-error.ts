// What issuers throw: an error for people, with what the schedule makes of it. Called by the issuers and the manager.

import { ProxyError, type ProxyErrorOptions } from "../../shared/errors.ts";
import type { IssueFailure } from "./issuer.ts";

/** The next attempt may go well: nothing is known that speaks against it. */
const NOTHING_KNOWN: IssueFailure = { notBeforeMs: null, isFinal: false, failedChallenges: [] };

export class IssueError extends ProxyError {
  readonly failure: IssueFailure;

  /** @param message with the authority, the names and the authority's own words. */
  constructor(
    message: string,
    failure: Partial<IssueFailure> = {},
    options: ProxyErrorOptions = {},
  ) {
    super("ERR_ISSUE", message, options);
    this.failure = { ...NOTHING_KNOWN, ...failure };
  }
}

/** Whatever an issuer or the storage threw, as data for the schedule. */
export function failureOf(error: unknown): IssueFailure {
  return error instanceof IssueError ? error.failure : NOTHING_KNOWN;
}
