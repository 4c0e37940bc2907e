// The clock of what workers share: each thread has an origin of its own for shared/clock.ts.

import { machineMs } from "../ffi/clock.ts";
import { monotonicMs } from "../shared/clock.ts";

/** Milliseconds of one clock in all workers. Elsewhere than on Linux there is one worker. */
export function sharedMs(): number {
  return process.platform === "linux" ? machineMs() : monotonicMs();
}
