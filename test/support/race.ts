// Runs the same function in several threads at once over the same shared memory. Called by tests of what workers share.

import { Worker } from "node:worker_threads";

import { within } from "./until.ts";

/** What a thread is started with. */
export interface RaceData {
  readonly module: string;
  readonly memory: SharedArrayBuffer;
  readonly gate: SharedArrayBuffer;
  readonly threads: number;
  readonly number: number;
}

/**
 * Each thread imports `module` and calls its export `race` with the memory and its own number, all of them at the same time.
 * @returns what each call returned.
 */
export async function race(
  module: string,
  memory: SharedArrayBuffer,
  threads: number,
): Promise<number[]> {
  const gate = new SharedArrayBuffer(4);
  const workers = Array.from({ length: threads }, (_, number) => {
    const data: RaceData = { module, memory, gate, threads, number };
    const worker = new Worker(new URL("race-thread.ts", import.meta.url), { workerData: data });
    const answer = Promise.withResolvers<number>();
    worker.once("message", answer.resolve);
    worker.once("error", answer.reject);
    return { worker, answer: answer.promise };
  });
  try {
    return await within("the threads", Promise.all(workers.map(({ answer }) => answer)), 30_000);
  } finally {
    await Promise.all(workers.map(({ worker }) => worker.terminate()));
  }
}
