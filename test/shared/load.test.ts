// When a worker is crowded, and who has the fewest connections.

import { expect, test } from "bun:test";

import { LoadBoard } from "../../src/shared/load.ts";

function board(...loads: number[]): LoadBoard {
  const result = new LoadBoard(LoadBoard.create(loads.length));
  loads.forEach((connections, worker) => {
    if (connections >= 0) result.set(worker, connections);
  });
  return result;
}

test("a worker is crowded if its next connection would leave it two and a quarter above another", () => {
  expect([0, 1, 2].map((own) => board(own, 0).crowded(own))).toEqual([false, true, true]);
  expect([20, 25, 26, 27].map((own) => board(own, 20).crowded(own))).toEqual([
    false,
    false,
    false,
    true,
  ]);
});

test("one worker alone is never crowded, nor one beside workers that are not up", () => {
  expect(board(1_000).crowded(1_000)).toBe(false);
  expect(board(1_000, -1).crowded(1_000)).toBe(false);
});

test("the least is sought among those that are up", () => {
  expect(board(5, 3, 4).leastOf([0, 1, 2])).toBe(1);
  expect(board(5, 3, 4).leastOf([0, 2])).toBe(2);
  expect(board(-1, 3).leastOf([0])).toBe(-1);
  expect(board(1).leastOf([])).toBe(-1);
});

test("who is on the way to a worker counts as if it was there", () => {
  const loads = board(5, 3, 4);
  loads.coming(1, 1);
  loads.coming(1, 1);
  expect(loads.leastOf([0, 1, 2])).toBe(2);
  expect(board(2, 0).crowded(2)).toBe(true);
  const two = board(2, 0);
  two.coming(1, 1);
  two.coming(1, 1);
  expect(two.crowded(2)).toBe(false);
  two.coming(1, -1);
  two.coming(1, -1);
  expect(two.crowded(2)).toBe(true);
});

test("all connections are those of workers that are up", () => {
  const loads = board(5, -1, 4);
  loads.coming(2, 1);
  expect(loads.total).toBe(9);
  loads.close(0);
  expect(loads.total).toBe(4);
});
