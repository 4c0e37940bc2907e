// One clock for all threads: what workers share is measured with it. A thread's own clock (shared/clock.ts) begins with the time
// of day when the thread was started, which may have been set since.

import { monotonicMs } from "../shared/clock.ts";
import { libc } from "./libc.ts";
import { CLOCK_MONOTONIC } from "./linux.ts";
import { addressOf, pinnedInt32 } from "./memory.ts";

/** struct timespec { time_t tv_sec; long tv_nsec; } */
const time = pinnedInt32(4);
const timeAddress = addressOf(time);

/** Milliseconds. Where there are no system calls there is one worker, whose own clock serves. */
export function sharedMs(): number {
  if (process.platform !== "linux") return monotonicMs();
  libc.clock_gettime(CLOCK_MONOTONIC, timeAddress);
  return time[0]! * 1_000 + time[2]! / 1_000_000;
}
