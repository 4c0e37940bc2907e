// What people and programs are told of a managed certificate. Plain data; no key is in it.

export interface CertificateStatus {
  readonly names: readonly string[];
  /** `missing` and `expired`: clients are shown a self-signed certificate, or the expired one. */
  readonly state: "valid" | "expired" | "missing";
  /** AuthorityPlan.name, or `internal`; null: there is no certificate. */
  readonly authority: string | null;
  /** Unix times in milliseconds; null: there is no certificate. */
  readonly notBeforeMs: number | null;
  readonly notAfterMs: number | null;
  /** null: there is no certificate; negative: since when it is expired. */
  readonly daysLeft: number | null;
  /** When it is renewed, or the next attempt made. */
  readonly nextAttemptMs: number;
  /** An order is under way. */
  readonly ordering: boolean;
  /** Attempts in a row that failed. */
  readonly failures: number;
  readonly lastFailure: CertificateFailure | null;
  /** It came at a handshake, and goes when others are asked for more recently. */
  readonly onDemand: boolean;
}

export interface CertificateFailure {
  readonly atMs: number;
  readonly authority: string;
  readonly reason: string;
}
