// The states of an exchange, and which may follow which; relay.ts has the picture.

export const FREE = 0;
export const WAITING = 1;
export const ASKING = 2;
export const ANSWERING = 3;
export const TUNNEL = 4;
export type State = typeof FREE | typeof WAITING | typeof ASKING | typeof ANSWERING | typeof TUNNEL;

/** By state: bits of those that it may become. */
const MOVES: readonly number[] = [
  1 << WAITING,
  (1 << ASKING) | (1 << FREE),
  (1 << WAITING) | (1 << ANSWERING) | (1 << TUNNEL) | (1 << FREE),
  1 << FREE,
  1 << FREE,
];

export function mayBecome(from: State, to: State): boolean {
  return (MOVES[from]! & (1 << to)) !== 0;
}
