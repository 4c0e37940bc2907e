// The frame of every load program: first the load goes on unmeasured until the program itself is compiled, then comes
// the measured part, with the relay's CPU time around it. Called by the load programs beside this file.

import { cpuSince, type CpuTime, cpuTime } from "./usage.ts";

/** Asked before each step with how many are done: whether to do one more. */
export type Going = (done: number) => boolean;

export interface LoadRequest {
  port: number;
  /** Processes of the relay. */
  pids: number[];
  /** How long the load goes on before it counts. */
  warmMs: number;
}

export interface TimedRequest extends LoadRequest {
  runMs: number;
}

export interface RepeatedRequest extends LoadRequest {
  /** How often the work is done; the median repetition is the result. */
  repetitions: number;
}

export interface Elapsed extends CpuTime {
  elapsedMs: number;
}

function forMs(ms: number): Going {
  const end = performance.now() + ms;
  return () => performance.now() < end;
}

/** @returns what `work` returns, with the time and the relay's CPU time that it took. */
export function timed<T extends object>(pids: readonly number[], work: () => T): T & Elapsed {
  const before = cpuTime(pids);
  const begin = performance.now();
  const result = work();
  return { ...result, elapsedMs: performance.now() - begin, ...cpuSince(before, pids) };
}

/** Load for a time. `run` is called twice, and what it returns is of the second time. */
export function measured<T extends object>(
  { warmMs, runMs, pids }: TimedRequest,
  run: (going: Going) => T,
): T & Elapsed {
  run(forMs(warmMs));
  return timed(pids, () => run(forMs(runMs)));
}

/** Load of an amount that is too short to measure once. @returns the repetition with the median time. */
export function repeated<T extends { elapsedMs: number }>(
  { warmMs, repetitions }: RepeatedRequest,
  once: () => T,
): T {
  for (const going = forMs(warmMs); going(0);) once();
  const results = Array.from({ length: repetitions }, once);
  return results.toSorted((a, b) => a.elapsedMs - b.elapsedMs)[repetitions >> 1]!;
}
