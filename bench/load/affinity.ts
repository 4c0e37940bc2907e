// Binds this thread to one processor, and with it every process that it starts from then on. Called by measure.ts.

import { fail, libc } from "./libc.ts";

const MASK_BYTES = 128; // cpu_set_t (sched_setaffinity(2))
const THIS_THREAD = 0;

function setAffinity(mask: Uint8Array): void {
  if (libc.sched_setaffinity(THIS_THREAD, MASK_BYTES, mask) < 0) fail("sched_setaffinity");
}

/** The lowest of the processors that are allowed, until it is disposed of. */
export function pinned(): Disposable {
  const before = new Uint8Array(new ArrayBuffer(MASK_BYTES));
  if (libc.sched_getaffinity(THIS_THREAD, MASK_BYTES, before) < 0) fail("sched_getaffinity");
  const one = new Uint8Array(new ArrayBuffer(MASK_BYTES));
  const byte = before.findIndex((bits) => bits !== 0);
  one[byte] = before[byte]! & -before[byte]!;
  setAffinity(one);
  return { [Symbol.dispose]: () => setAffinity(before) };
}
