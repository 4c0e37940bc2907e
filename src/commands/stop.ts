// Signals of `run` and `demo`: the first SIGTERM or SIGINT asks for an orderly stop, the second ends at once.

export interface StopSignals {
  /** Resolves with the first signal's name. */
  readonly first: Promise<NodeJS.Signals>;
  /** Resolves with the second's. */
  readonly second: Promise<NodeJS.Signals>;
  /** Gives the signals back their usual meaning. */
  release(): void;
}

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

export function watchStopSignals(): StopSignals {
  const first = Promise.withResolvers<NodeJS.Signals>();
  const second = Promise.withResolvers<NodeJS.Signals>();
  let seen = 0;
  const handler = (signal: NodeJS.Signals): void => (++seen === 1 ? first : second).resolve(signal);
  for (const signal of SIGNALS) process.on(signal, handler);
  return {
    first: first.promise,
    second: second.promise,
    release: () => SIGNALS.forEach((signal) => process.off(signal, handler)),
  };
}
