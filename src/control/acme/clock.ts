// Time and chance as the manager takes them, so that tests can move the one and choose the other.

export interface Clock {
  /** Unix time in milliseconds, which may jump: a clock is set, a machine sleeps. */
  now(): number;
  /** @returns what takes it back. */
  after(ms: number, call: () => void): () => void;
  /** [0, 1) */
  chance(): number;
}

/** Keeps no process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
  chance: () => Math.random(),
};
