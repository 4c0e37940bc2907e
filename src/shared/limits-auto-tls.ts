// Limits of automatic certificates: a part of limits.ts, which passes them on, in a file of its own.

/** Certificates that this program signs itself. */
export const AUTHORITY_LIMITS = {
  backdatedMs: 3_600_000, // an hour: a machine whose clock is behind takes a new certificate too
  standInMs: 7 * 86_400_000, // a week: nobody trusts a stand-in, so that its end changes nothing
  rootMs: 3_652 * 86_400_000, // ten years: whoever trusts it has to do so again afterwards, on every device
  leafMs: 7 * 86_400_000, // a week: nobody can revoke one, and a laptop closed for some days still wakes with a valid one
} as const;

/** The folder that keeps automatic certificates. */
export const STORAGE = {
  fileMaxBytes: 1_048_576, // of one file: a chain has 5 KiB, an order 1 KiB; what is larger is not ours
  nameMaxLength: 253, // of a certificate's first name, which its folder is called by: what DNS allows (RFC 1035 section 2.3.4)
  lockPollMs: 100, // between two looks whether a lock is free: an order takes seconds
} as const;

/** Answers to challenges of certificate authorities (RFC 8555 section 8). */
export const CHALLENGES = {
  pendingMax: 256, // at once: authorities allow 100 names in an order, and each change is told to every worker whole
  tokenMaxBytes: 256, // of a token that is looked up at all: those of authorities have 43
} as const;

/** Handshakes that wait for a certificate. */
export const ON_DEMAND = {
  waitMs: 30_000, // for an order: those of public authorities take three to twenty seconds
} as const;
