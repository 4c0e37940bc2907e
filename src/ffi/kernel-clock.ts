// Whether something keeps the system's clock right, as the kernel knows (adjtimex(2)). Called by `proxy doctor`.

import { openLibc } from "./libc.ts";
import { addressOf, pinnedInt32 } from "./memory.ts";

const libc = openLibc({
  // int adjtimex(struct timex *buf)
  adjtimex: { args: ["ptr"], returns: "i32" },
});

/** struct timex has 208 bytes; `status` stands at byte 40 of it on 64-bit machines, and modes of 0 change nothing. */
const TIMEX_INTS = 64;
const STATUS_AT = 10;
/** The clock is not synchronised. */
const STA_UNSYNC = 0x40;

/** @returns null where the system does not tell. */
export function isClockSynchronised(): boolean | null {
  if (process.platform !== "linux") return null;
  const timex = pinnedInt32(TIMEX_INTS);
  if (libc.adjtimex(addressOf(timex)) < 0) return null;
  return (timex[STATUS_AT]! & STA_UNSYNC) === 0;
}
