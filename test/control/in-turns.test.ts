// Tasks in turns: how many are under way, in which order, and what becomes of those after one that failed.

import { expect, test } from "bun:test";

import { inTurns } from "../../src/control/in-turns.ts";

/** Tasks that end when they are told to. */
class Tasks {
  readonly begun: number[] = [];
  readonly list: (() => Promise<void>)[];
  readonly #ends: PromiseWithResolvers<void>[];

  constructor(count: number) {
    this.#ends = Array.from({ length: count }, () => Promise.withResolvers<void>());
    this.list = this.#ends.map(({ promise }, i) => () => {
      this.begun.push(i);
      return promise;
    });
  }

  async end(i: number, error?: Error): Promise<void> {
    if (error === undefined) this.#ends[i]!.resolve();
    else this.#ends[i]!.reject(error);
    await new Promise((resolve) => setImmediate(resolve)); // whoever waits for it has gone on
  }
}

test("no more are under way than may be, and each begins when one is over", async () => {
  const tasks = new Tasks(5);
  const all = inTurns(tasks.list, 2);
  expect(tasks.begun).toEqual([0, 1]);
  await tasks.end(1);
  expect(tasks.begun).toEqual([0, 1, 2]);
  await tasks.end(2);
  await tasks.end(0);
  expect(tasks.begun).toEqual([0, 1, 2, 3, 4]);
  await tasks.end(3);
  await tasks.end(4);
  await all;
});

test("after one that failed none begins, and those under way are waited for", async () => {
  const tasks = new Tasks(5);
  let outcome: unknown;
  const all = inTurns(tasks.list, 2).catch((error: unknown) => (outcome = error));
  await tasks.end(0, new Error("first"));
  expect(outcome).toBeUndefined();
  await tasks.end(1, new Error("second"));
  await all;
  expect(outcome).toEqual(new Error("first"));
  expect(tasks.begun).toEqual([0, 1]);
});

test("none, and fewer than may be", async () => {
  await inTurns([], 4);
  const tasks = new Tasks(1);
  const all = inTurns(tasks.list, 4);
  expect(tasks.begun).toEqual([0]);
  await tasks.end(0);
  await all;
});
