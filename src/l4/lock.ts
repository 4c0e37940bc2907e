// Mutual exclusion between workers for a few words of shared memory: what it guards takes less than a microsecond, so it is
// nearly always free, and then costs two atomic operations. Ulrich Drepper, "Futexes Are Tricky", section 6.
// Invariant: nothing between acquire and release throws or waits.

const FREE = 0;
const HELD = 1;
/** Held, and somebody may sleep until it is free. */
const AWAITED = 2;

export function acquire(words: Int32Array, at: number): void {
  if (Atomics.compareExchange(words, at, FREE, HELD) === FREE) return;
  while (Atomics.exchange(words, at, AWAITED) !== FREE) Atomics.wait(words, at, AWAITED);
}

export function release(words: Int32Array, at: number): void {
  if (Atomics.exchange(words, at, FREE) === AWAITED) Atomics.notify(words, at, 1);
}
