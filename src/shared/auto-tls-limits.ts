// The limits and defaults of automatic certificates: the part of limits.ts that is about them, written as there.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const KIB = 1024;
const MIB = 1024 * KIB;

/** When certificates are renewed, and what is tried again when: see `src/control/acme/schedule.ts`. */
export const SCHEDULE = {
  renewAt: 2 / 3, // of the lifetime, where the authority says nothing (RFC 9773): what Let's Encrypt advises
  renewEarlier: 1 / 30, // of the lifetime, at most, by chance: a thousand certificates of one day do not come back in one
  renewLatest: 9 / 10, // of the lifetime: an authority's window beyond this is not waited for
  renewAgainMs: 1 * DAY, // after it came, at the soonest: a window that is always over must not become a loop of orders
  stepsInLifetime: 12, // no wait between attempts is longer than this part of the lifetime that is being renewed
  stepMinMs: 10 * SECOND, // however short that is
  jitter: 1 / 10, // of a wait, added by chance: those who failed together do not return together
  failoverMs: 1 * SECOND, // to another challenge or authority, when it is clear that this one is no use now
  triesPerAuthority: 2, // in a row, before the next is asked: one mishap does not change the authority
  attemptsPerWindow: 4, // that fail at a challenge, with one authority: Let's Encrypt allows five, one is left for a person
  windowMs: 1 * HOUR, // what Let's Encrypt counts failed validations over
  finalMs: 6 * HOUR, // after a failure that only a person can mend: four lines a day that say so
  notBeforeMaxMs: 8 * DAY, // the longest Retry-After that is believed: Let's Encrypt's longest limit is a week
  askAgainMinMs: 1 * MINUTE, // between two questions for a renewal window, whatever Retry-After says
  askAgainMaxMs: 1 * DAY, // RFC 9773 section 4.3.2 wants it asked at least daily
  askAgainFailedMs: 6 * HOUR, // what RFC 9773 section 4.3.3 advises after an answer that was no use
} as const;

/**
 * How long is waited after each failure in a row. Minutes at first, since a record or a port is put right within them; what
 * authorities count is held to their limit besides (SCHEDULE.attemptsPerWindow). After 30 days, once a day for as long as it is
 * needed.
 */
export const RETRIES: readonly { readonly waitMs: number; readonly times: number }[] = [
  { waitMs: 1 * MINUTE, times: 1 },
  { waitMs: 2 * MINUTE, times: 2 },
  { waitMs: 5 * MINUTE, times: 1 },
  { waitMs: 10 * MINUTE, times: 2 },
  { waitMs: 20 * MINUTE, times: 6 },
  { waitMs: 1 * HOUR, times: 6 },
  { waitMs: 2 * HOUR, times: 6 },
  { waitMs: 3 * HOUR, times: 8 },
  { waitMs: 6 * HOUR, times: 112 }, // to the end of the thirtieth day
  { waitMs: 1 * DAY, times: Infinity },
];

/** Certificates that are obtained and renewed. */
export const AUTO_TLS_DEFAULTS = {
  authority: "letsencrypt",
  keyType: "p256", // every client takes it, its handshakes are cheap, and it is as strong as RSA with 3,072 bits
  storage: "./certificates",
  httpPort: 80, // RFC 8555 section 8.3
  tlsPort: 443, // RFC 8737 section 3
  propagationTimeoutMs: 120_000, // most zones are the same everywhere within seconds, some after a minute
  propagationDelayMs: 0, // the zone's own servers are asked, of which no cache remembers that there was nothing
  ttlSeconds: 120, // what most providers allow at least; the record is removed within minutes
} as const;

/** Certificates at the first handshake of a name. */
export const ON_DEMAND_DEFAULTS = {
  orders: 60, // an hour's; Let's Encrypt takes 300 of one account in three hours
  intervalMs: 3_600_000,
  maxCertificates: 1_000, // with chain and key some 10 KiB each, in every worker
} as const;

/** Bounds of the same. */
export const AUTO_TLS_BOUNDS = {
  namesMax: 100, // of one certificate: what Let's Encrypt and ZeroSSL take
  propagationTimeoutMinMs: 5_000,
  propagationTimeoutMaxMs: 3_600_000, // authorities forget an order that waits for longer
  ttlMaxMs: 86_400_000,
  onDemandCertificatesMax: 100_000,
} as const;

/** How often is said that a certificate is not obtained. */
export const VOICE = {
  intervalsMs: [10 * MINUTE, 1 * HOUR, 6 * HOUR, 1 * DAY], // between lines: some in the first hours, then one a day
  urgentShare: 1 / 4, // of the lifetime that is left: from here on it is an error, not a warning
} as const;

export const MANAGER = {
  ordersAtOnce: 4, // as many as a person would start; each may wait minutes for DNS, and authorities limit their rate
  orderMaxMs: 2 * HOUR, // an attempt that takes longer will not end: the longest propagation, an hour, is waited for in it
  lookMs: 30 * SECOND, // at the wall clock, which is set and stands still while a machine sleeps
  storageLookMs: 1 * MINUTE, // at what other processes have put into the storage
  readsAtOnce: 16, // certificates at the start: a thousand are there within a second
  standInsMax: 8, // with their own names: each takes 16 ms, and listeners wait for them
  tellMs: 50, // that certificates which come together wait for each other before listeners are told
  tellEachMs: 1 / 20, // for each that is shown, since all are sent again
  tellMaxMs: 800, // then they are: a new certificate is shown within a second
  withdrawMs: 20 * SECOND, // at the end, for answers of challenges to be taken back
} as const;

/** What is asked of an authority, and believed: see `src/control/acme/protocol/`. */
export const ACME = {
  requestMs: 30_000, // of one request with its answer: Let's Encrypt answers in two seconds when it is busy
  answerMaxBytes: 256 * 1024, // a directory, an order, or a chain of some ten certificates: 64 KiB at most of any authority
  redirectsMax: 5, // of one request: a directory that moved, and moved again
  readTries: 3, // of a request that changes nothing, when the connection breaks
  readAgainMs: 1 * SECOND, // between two of them
  // A nonce that was refused brings a fresh one (RFC 8555 section 6.5): so many in a row are no accident, also where half of
  // them are refused on purpose.
  nonceTries: 24,
  noncesKept: 16, // for the next requests: as many as run at once
  directoryMs: 1 * HOUR, // after which the directory is read again: authorities move, seldom
  challengesAtOnce: 16, // presented to the authority, of one order: DNS takes its time, and so all of them together do
  pollMinMs: 250, // between the first two looks at an order or an authorisation: many are done by then
  pollMs: 2 * SECOND, // between later ones, which come ever less often, where no Retry-After says otherwise
  pollMaxMs: 30 * SECOND, // the longest such wait, whatever Retry-After says
  authorizationMs: 5 * MINUTE, // for an authority to look at an answer: Let's Encrypt takes seconds, others look again
  orderMs: 10 * MINUTE, // for it to issue a certificate: some have a person's queue behind it
  orderKeptMs: 7 * DAY, // an order is gone on with: what Let's Encrypt keeps one
  alternatesMax: 8, // chains that are fetched to choose among: Let's Encrypt offers two or three
  chainMax: 10, // certificates in one: longer ones no client verifies
  clockSkewMs: 5 * MINUTE, // a certificate may begin so far in the future of this machine's clock
  problemMaxLength: 2_000, // of an authority's own words, in a message for people
  subproblemsMax: 20, // of them, the first
} as const;

/** Whether a name gets a certificate at its first handshake, for which a client waits. */
export const ON_DEMAND_DECISIONS = {
  askMs: 5 * SECOND, // for the URL that says whether a name is allowed: a look into a database
  asksAtOnce: 16, // what a small program answers; made-up names beyond are refused
  refusedMs: 1 * MINUTE, // that a name which is not allowed is not asked about again: somebody may just be adding it
  refusedMax: 10_000, // of those, the newest: half a MiB
  failedMs: 10 * MINUTE, // after an order failed: its authority counts failures
  saidMs: 1 * MINUTE, // between two lines that clients cause by making names up, as fast as they can
  attempts: 6, // while the client waits: all challenges, with two authorities
  nextAttemptMs: 5 * SECOND, // what is tried again within is waited for: another challenge, another authority
} as const;

/** Certificates that this program signs itself. */
export const AUTHORITY_LIMITS = {
  backdatedMs: 3_600_000, // an hour: a machine whose clock is behind takes a new certificate too
  standInMs: 7 * 86_400_000, // a week: nobody trusts a stand-in, so that its end changes nothing
  rootMs: 3_652 * 86_400_000, // ten years: whoever trusts it has to do so again afterwards, on every device
  demoLeafMs: 30 * 86_400_000, // its key goes with the demo; one that ends sooner is warned of, and would be the first thing seen
  leafMs: 7 * 86_400_000, // a week: nobody can revoke one, and a laptop closed for some days still wakes with a valid one
} as const;

/** The folder that keeps automatic certificates. */
export const STORAGE = {
  fileMaxBytes: 1_048_576, // of one file: a chain has 5 KiB, an order 1 KiB; what is larger is not ours
  nameMaxLength: 253, // of a certificate's first name, which its folder is called by: what DNS allows (RFC 1035 section 2.3.4)
  folderMaxLength: 240, // of what is called by it: file systems take 255, with what follows it in names of locks
  lockPollMs: 100, // between two looks whether a lock is free: an order takes seconds
} as const;

/** Answers to challenges of certificate authorities (RFC 8555 section 8). */
export const CHALLENGES = {
  pendingMax: 256, // at once: authorities allow 100 names in an order, and each change is told to every worker whole
  tokenMaxBytes: 256, // of a token that is looked up at all: those of authorities have 43
  certificateMs: 24 * HOUR, // that answers one is valid before and after: authorities look within minutes
  handshakeMs: 5 * SECOND, // of a listener that is open for challenges alone: an authority is the only one that needs it
  connectionsMax: 1_024, // of such a listener: who means to keep the authority out needs two hundred a second
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
  unseenMs: 60_000, // for a record where no server of its zone can be asked: as long as most providers need
} as const;

/** The challenge dns-01. */
export const DNS_01 = {
  removeTries: 4, // of a record: one that stays is somebody's work
  removeRetryMs: 2_000, // doubled each time
  removeTimeoutMs: 60_000, // for one try, with all the attempts that a provider makes by itself
} as const;

/** `proxy certificates`: renew asks the proxy that uses the folder, revoke the authority. */
export const MAINTENANCE = {
  lookMs: 500, // between two looks into the folder
  revokeMs: 60_000, // two answers of an authority that is slow
  renewMs: 180_000, // until the proxy looks (MANAGER.storageLookMs), and for an order by DNS
} as const;

/** HTTP APIs of DNS providers, and files of their credentials. */
export const DNS_API = {
  timeoutMs: 30_000, // of one request with its answer: what lego and certbot wait; changes of large zones take some seconds
  answerMaxBytes: 1 * MIB, // a page of 500 records has 200 KiB
  pagesMax: 100, // of one list: 10,000 records with one name, or an API that turns in a circle
  attempts: 5, // of one request: waits of 1, 2, 4 and 8 s where the API names none
  retryMs: 1_000, // before the second attempt, doubled each time, and up to half of it more by chance
  retryMaxMs: 60_000, // the most that an API may ask to wait: limits of GoDaddy and Route 53 are over within a minute
  changeAttempts: 5, // of a change that others' changes made void: each needs another process to write in between
  inSyncPollMs: 2_000, // between two looks whether Route 53 has carried out a change, which takes some 30 s
  inSyncMaxMs: 120_000, // then the zone's servers are asked themselves
  messageMaxChars: 300, // of an API's own words: some answer with a page of HTML
  roleTimeoutMs: 2_000, // of a machine's own metadata service, which answers within milliseconds
  credentialMaxBytes: 16 * KIB, // of a file: a session token of AWS has up to 4 KiB, a file of profiles some of them
} as const;
