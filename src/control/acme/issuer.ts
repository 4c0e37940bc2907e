// The contract of what makes certificates: an ACME authority, or the internal one. The manager asks the first of its list, and
// the next where one fails. No issuer keeps a clock, a schedule or a certificate: they are the manager's and the storage's.

import type { CertificateKeyType, ChallengeType } from "../../shared/auto-tls-plan.ts";
import type { Secret } from "../../shared/secret.ts";
import type { Solver } from "./solver.ts";

export interface IssueRequest {
  /** Of one certificate; the first names it. */
  readonly names: readonly string[];
  readonly keyType: CertificateKeyType;
  /** To be tried in this order; the first that fits a name and is offered by the authority is taken. */
  readonly solvers: readonly Solver[];
  /**
   * Renews it: told to authorities that speak ARI (RFC 9773 section 5). PEM, the certificate first; null: the first of its
   * names.
   */
  readonly replaces: string | null;
}

export interface IssuedCertificate {
  /** PEM, the certificate first, then its intermediates. Verified: fits the key, has all names, is valid now. */
  readonly chain: string;
  /** PEM, PKCS #8. */
  readonly key: Secret;
}

/** When an authority wants a certificate renewed (RFC 9773 section 4.2). */
export interface RenewalWindow {
  readonly startMs: number;
  readonly endMs: number;
  /** Why, for people; null: nothing is said. */
  readonly explanationUrl: string | null;
  /** When to ask again (Retry-After). */
  readonly askAgainMs: number;
}

/** RFC 5280 section 5.3.1, as numbers of ACME (RFC 8555 section 7.6). */
export type RevocationReason = 0 | 1 | 3 | 4 | 5;

/** By their names in RFC 5280. */
export const REVOCATION_REASONS = {
  unspecified: 0,
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
} as const satisfies Record<string, RevocationReason>;

export interface Issuer {
  /** AuthorityPlan.name, or `internal`. */
  readonly name: string;
  /**
   * A new certificate with a new key. One call at a time for the same names; the caller holds the storage's lock for them.
   * After a crash, an order that was begun is gone on with where the authority still has it; one that has ended well gives its
   * certificate again until the storage has that (StoredCertificates.save).
   * @throws IssueError
   */
  issue(request: IssueRequest, signal: AbortSignal): Promise<IssuedCertificate>;
  /** null: the authority has no opinion. @throws IssueError */
  renewalWindow(chain: string, signal: AbortSignal): Promise<RenewalWindow | null>;
  /** @throws IssueError. A certificate that is revoked already is no error. */
  revoke(chain: string, reason: RevocationReason, signal: AbortSignal): Promise<void>;
}

/** What went wrong with an authority, in words for people and in data for the schedule. */
export interface IssueFailure {
  /** Not to be tried again before (Retry-After, RFC 8555 section 6.6); null: nothing is said. */
  readonly notBeforeMs: number | null;
  /** The next attempt would fail alike until somebody changes something: a rejected account, a name that the policy forbids. */
  readonly isFinal: boolean;
  /** Of a challenge that failed: the next attempt tries another type first. */
  readonly failedChallenges: readonly { readonly name: string; readonly type: ChallengeType }[];
}
