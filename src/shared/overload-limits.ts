// Limits and defaults of overload, with their reasons: how late threads may be, and how much the process may hold, before new
// work is turned away. Part of limits.ts.

/** How late threads are. */
export const LAG = {
  beatMs: 100, // between two looks at the clock: some microseconds of a thread's time a second, and lag to a tenth of a second
  // Between two looks of an event loop that has nobody to serve, whether it has: ten wakeups a second would be most of those that
  // an idle proxy has at all.
  restMs: 1_000,
  windowMs: 500, // two of them are what the worst is of: what a person felt is there for whoever looks once a second
} as const;

/** The key `overload`, where the configuration does not say otherwise. */
export const OVERLOAD_DEFAULTS = {
  // A second is felt by everybody, and no worker that is only busy is so late: with ten thousand clients who all want something a
  // turn takes a tenth of it. A pause of the machine, or of the garbage collector, does not last for SHEDDING.lag.holdMs.
  lagMs: 1_000,
  // Of the cgroup's limit or the machine's memory, of what this process holds: beyond, the kernel is about to end it, with
  // everybody's connections.
  memoryShare: 0.9,
  // Beyond, clients would be let in for whom no target can be reached any more, and certificates and the admin listener would
  // find none either. What is below never fails for want of them.
  descriptorsShare: 0.95,
} as const;

/** What may be written under `overload`. */
export const OVERLOAD_BOUNDS = {
  lagMinMs: 50, // a worker that compresses, or answers a thousand clients at once, is later than less
  lagMaxMs: 60_000, // nobody waits for longer
  shareMin: 0.01, // less is a slip of the pen
  // A process with four workers holds 80 MiB before its first client, and some 110 when those of a first rush are gone.
  memoryMin: 128 * 1024 * 1024,
} as const;

/** How new work is turned away: more of it, the further a value is above its ceiling. */
export const SHEDDING = {
  leastShare: 0.1, // of new work, at the ceiling itself: enough to be felt by what rises, and nine of ten are served
  // The worst of a second and a half at most, so a single pause, however long, is over before it has held.
  lag: { resume: 0.8, full: 2, holdMs: 1_600, calmMs: 10_000, plateauMs: Infinity },
  // The last tenth of what the kernel gives is where it ends processes: all new work is turned away in the middle of it. What is
  // freed is given back within seconds, measured; after half a minute whatever is left stays.
  memory: { resume: 0.9, full: 1.05, holdMs: 0, calmMs: 30_000, plateauMs: 30_000 },
  memoryWall: 0.97, // of the limit: what is held there is never let grow, whether it stays or not
  plateauPart: 0.02, // a value that stays within this part of itself does not move
  // 1.04 of 95 % is just short of all. Descriptors stay with nobody: one that is taken is in use.
  descriptors: { resume: 0.95, full: 1.04, holdMs: 0, calmMs: 10_000, plateauMs: Infinity },
  lookMs: 500, // at memory and descriptors, 20 µs each; in that time a worker accepts some thousand clients, and reserves hold
  limitMs: 10_000, // between two looks at the limits themselves: those of containers are changed while they run
  // Between two collections of garbage that are asked for while memory is short: what clients held who went is garbage until
  // then, in a worker that has nothing else to do.
  collectMs: 2_000,
  retryAfterSeconds: 2, // told to clients: by then it is over, if it was a moment
  sayMs: 10_000, // between two lines of the log about the same beginning
} as const;
