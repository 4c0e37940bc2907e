// The machine's monotonic clock (clock_gettime(2), CLOCK_MONOTONIC): the same in all threads, whatever the time of day is set
// to. Linux only.

import { libc } from "./libc.ts";
import { addressOf } from "./memory.ts";

const CLOCK_MONOTONIC = 1;
/** struct timespec { time_t tv_sec; long tv_nsec; } */
const time = new BigInt64Array(new ArrayBuffer(16));

export function machineMs(): number {
  libc.clock_gettime(CLOCK_MONOTONIC, addressOf(time));
  return Number(time[0]!) * 1_000 + Number(time[1]!) / 1e6;
}
