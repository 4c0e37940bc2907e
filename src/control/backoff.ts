// How long to wait before trying again what failed: at once, then ever more slowly. Called for workers and for listeners.

import { setTimeout as sleep } from "node:timers/promises";

import { CONTROL } from "../shared/limits.ts";

/** @param failures how many times in a row it failed before. @returns milliseconds; 0 the first time. */
export function backoffMs(failures: number): number {
  if (failures === 0) return 0;
  return Math.min(
    CONTROL.restartDelayMs * 2 ** Math.min(failures - 1, 20),
    CONTROL.restartDelayMaxMs,
  );
}

/** Waits until the time is over or the signal is aborted; never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
