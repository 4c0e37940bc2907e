// One thread of a race: waits until all of them are here, and runs. Started by race.ts.

import { parentPort, workerData } from "node:worker_threads";

import type { RaceData } from "./race.ts";

const { module, memory, gate, threads, number } = workerData as RaceData;
const { race } = (await import(module)) as {
  race: (memory: SharedArrayBuffer, number: number) => number;
};
const arrived = new Int32Array(gate);
if (Atomics.add(arrived, 0, 1) + 1 === threads) Atomics.notify(arrived, 0);
for (let here = 0; (here = Atomics.load(arrived, 0)) < threads;) Atomics.wait(arrived, 0, here);
parentPort!.postMessage(race(memory, number));
