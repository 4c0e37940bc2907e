// The board of strains: each thread has its place, and one that hangs is late without telling.

import { expect, test } from "bun:test";

import { CONTROL_THREAD, StrainBoard, threadOf } from "../../src/shared/strain.ts";

test("threads have places of their own, and so has the process", () => {
  const buffer = StrainBoard.create(3);
  const board = new StrainBoard(buffer);
  board.setProcess(0.25, 0.5);
  board.setThread(CONTROL_THREAD, 0, 1, 0);
  board.setThread(threadOf(0), 0, 2, 0.75);
  board.setThread(threadOf(1), 0, 3, 1);
  const other = new StrainBoard(buffer);
  expect([other.memoryShare, other.descriptorsShare]).toEqual([0.25, 0.5]);
  expect(
    [CONTROL_THREAD, threadOf(0), threadOf(1)].map((thread) => other.lagMs(thread, 9)),
  ).toEqual([1, 2, 3]);
  expect([threadOf(0), threadOf(1)].map((thread) => other.lagShare(thread))).toEqual([0.75, 1]);
});

test("a thread that has not written when it meant to is as late as that by now", () => {
  const board = new StrainBoard(StrainBoard.create(2));
  board.setThread(threadOf(0), 1_000, 5, 0);
  expect(board.lagMs(threadOf(0), 900)).toBe(5);
  expect(board.lagMs(threadOf(0), 4_000)).toBe(3_000);
  board.clear(threadOf(0));
  expect(board.lagMs(threadOf(0), 4_000)).toBe(0);
});
