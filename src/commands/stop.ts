// Signals of `run` and `demo`: the first that asks for a stop drains, the second ends at once. The meanings are nginx's,
// as far as this version has what they ask for; none of them ends the process unawares.

export interface StopSignals {
  /** Resolves with the first signal's name. */
  readonly first: Promise<NodeJS.Signals>;
  /** Resolves with the second's. */
  readonly second: Promise<NodeJS.Signals>;
  /** Gives the signals back their usual meaning. */
  release(): void;
}

export const STOP: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT", "SIGQUIT"];

/**
 * @param stop signals that ask for a stop.
 * @param others what other signals do instead of ending the process.
 */
export function watchStopSignals(
  stop: readonly NodeJS.Signals[] = STOP,
  others: Partial<Record<NodeJS.Signals, () => void>> = {},
): StopSignals {
  const first = Promise.withResolvers<NodeJS.Signals>();
  const second = Promise.withResolvers<NodeJS.Signals>();
  let seen = 0;
  const handler = (signal: NodeJS.Signals): void => (++seen === 1 ? first : second).resolve(signal);
  const handlers = new Map<NodeJS.Signals, (signal: NodeJS.Signals) => void>([
    ...stop.map((signal) => [signal, handler] as const),
    ...(Object.entries(others) as [NodeJS.Signals, () => void][]),
  ]);
  for (const [signal, handle] of handlers) process.on(signal, handle);
  return {
    first: first.promise,
    second: second.promise,
    release: () => handlers.forEach((handle, signal) => process.off(signal, handle)),
  };
}
