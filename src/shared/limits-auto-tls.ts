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
  handshakesMax: 1_024, // of one listener in a worker: each holds a socket and its hello, some 20 KiB
  namesMax: 256, // asked for at once, of one listener in a worker: more orders than any authority takes at once
  denialMs: 5_000, // in which a name is not asked for again: a client that tries on costs nobody an answer
  denialsMax: 1_024, // names that are remembered for it
} as const;

/** DNS, as the challenge dns-01 asks it: which zone a name is in, and whether its servers have a record. */
export const DNS = {
  port: 53,
  payloadBytes: 1_232, // of an answer over UDP: passes every network in one piece (DNS flag day 2020); more comes over TCP
  tryMs: 2_000, // for an answer: a few round trips around the world, or a resolver that asks others first
  tries: 2, // of a question to a resolver: one packet may be lost
  aliasesMax: 8, // CNAME records one after another: as many as resolvers follow, and seven more than anybody needs
  serversMax: 13, // of a zone: as many as the root has
  addressesMax: 4, // of one server: two of each family
  aliasServersMax: 4, // that are asked for a CNAME in turn, before the resolvers are
  lookFirstMs: 1_000, // between two looks whether a record is there, doubled each time: Cloudflare takes a second or two
  lookMaxMs: 10_000, // those that take minutes are asked six times in each
  brokenLooks: 3, // in a row, without an answer, after which the other servers decide
} as const;

/** The challenge dns-01. */
export const DNS_01 = {
  removeTries: 4, // of a record: one that stays is somebody's work
  removeRetryMs: 2_000, // doubled each time
  removeTimeoutMs: 60_000, // for one try, with all the attempts that a provider makes by itself
} as const;
