// One of the threads that take from the same bucket (token-buckets.test.ts).

import { TokenBuckets } from "../../src/l4/token-buckets.ts";

export const RACE_RATE = { perSecond: 1, burst: 1_000_000 };

/** Takes one by one until nothing is left. @returns how many it got. */
export function race(memory: SharedArrayBuffer): number {
  const buckets = new TokenBuckets(RACE_RATE, memory);
  let got = 0;
  for (; buckets.claim(0, 1, 0) === 1; got++) {
    // What is given back is there for somebody else.
    if (got % 10 === 0) buckets.giveBack(0, buckets.claim(0, 1, 0));
  }
  return got;
}
