// When targets that fail are left out, and how they come back: limits and defaults, each with its reason. Beside limits.ts.

/** When a target that does not answer is left out, and for how long. */
export const EJECTION = {
  failures: 3, // connects that failed in a row: one may be a full queue, two the same moment
  firstMs: 1_000, // a restart of the target; doubled each time
  maxMs: 30_000, // what an operator who mended it is ready to wait
  calmMs: 60_000, // a target that stayed for this long starts over with firstMs
} as const;

/** Of a listener or route with `circuit_breaker`, in place of EJECTION; calmMs is the same. */
export const BREAKER_DEFAULTS = {
  failures: 5, // in a row; Envoy has as many
  errorRate: 0.5, // with the next two as Hystrix had them, and those that came after it
  minimum: 20, // in the window: three of five say little
  windowMs: 10_000,
  openMs: 10_000, // doubled each time
  maxOpenMs: 300_000, // a target that is gone for the night costs a few clients each five minutes
  probes: 3, // one success may be luck
} as const;

/**
 * Of a circuit that is half open: whoever finds out may take this long before one more is let in. Most answers are there long
 * before, and a client that sends its request as slowly as it may keeps a target from nobody.
 */
export const HALF_OPEN_STALL_MS = 5_000;

/** What is counted over a window of time is counted in so many parts of it: it is exact to a tenth, and costs no memory. */
export const WINDOW_PARTS = 10;

/** Of its share, what a target with slow_start gets at first: enough to fill caches, and no less, or it would never begin. */
export const SLOW_START_LEAST = 0.1;

/** Requests that are sent again, at most, so that targets which are overloaded are not asked twice as much for it. */
export const RETRY_BUDGET = {
  share: 0.2, // of the requests within the window; Envoy, Finagle and Linkerd have as much
  minPerSecond: 10, // whatever the share is: where little is asked, a storm is little too
  windowMs: 10_000,
} as const;
