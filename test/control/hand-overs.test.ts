// Clients between two workers: who gets them, and what becomes of them if that worker is gone.

import { expect, test } from "bun:test";
import { closeSync, fstatSync, openSync } from "node:fs";

import { HandOvers } from "../../src/control/hand-overs.ts";
import { LoadBoard } from "../../src/shared/load.ts";
import type { Command } from "../../src/shared/messages.ts";

class Taker {
  readonly index: number;
  readonly commands: Command[] = [];
  constructor(index: number) {
    this.index = index;
  }
  post(command: Command): void {
    this.commands.push(command);
  }
}

function setUp(...loads: number[]) {
  const load = new LoadBoard(LoadBoard.create(loads.length));
  loads.forEach((connections, worker) => load.set(worker, connections));
  const takers = loads.map((_, index) => new Taker(index));
  const alive = [...takers];
  return { load, takers, alive, handOvers: new HandOvers(load, () => alive) };
}

test("a client goes to the worker with the fewest connections", () => {
  const { takers, handOvers } = setUp(4, 2, 3);
  expect(handOvers.give(3, 77)?.index).toBe(1);
  expect(takers[1]!.commands).toEqual([{ type: "take", id: 1, slot: 3, fd: 77 }]);
  expect(handOvers.pending).toBe(1);
  handOvers.took(1);
  expect(handOvers.pending).toBe(0);
});

test("a crowd goes to all who have room, also before any of it has arrived", () => {
  const { takers, handOvers } = setUp(9, 0, 0, 2, 9);
  const given = Array.from({ length: 10 }, () => handOvers.give(3, 77)!.index);
  const each = takers.map(({ index }) => given.filter((worker) => worker === index).length);
  expect(each).toEqual([0, 4, 4, 2, 0]);
});

test("who has arrived is not counted as coming any more, and neither is who was to go to a worker that is gone", () => {
  const { load, alive, handOvers } = setUp(1, 0);
  expect(handOvers.give(3, 77)?.index).toBe(1);
  expect(load.crowded(1)).toBe(false);
  handOvers.took(1);
  handOvers.took(1); // of which nothing is known
  expect(load.crowded(1)).toBe(true);
  handOvers.give(3, 78);
  load.close(1);
  const [gone] = alive.splice(1, 1);
  handOvers.retire(1);
  load.set(1, 0);
  alive.push(gone!);
  expect(handOvers.give(3, 79)?.index).toBe(1);
});

test("what was on its way to a worker that is gone goes to another", () => {
  const { load, takers, alive, handOvers } = setUp(4, 2, 3);
  handOvers.give(3, 77);
  load.close(1);
  alive.splice(1, 1);
  handOvers.retire(1);
  expect(takers[2]!.commands).toEqual([{ type: "take", id: 2, slot: 3, fd: 77 }]);
  handOvers.took(1); // a late answer is not about the second attempt
  expect(handOvers.pending).toBe(1);
});

test("a client that nobody can take is closed", () => {
  const { alive, handOvers } = setUp(1);
  alive.pop();
  const fd = openSync("/dev/null", "r");
  expect(handOvers.give(3, fd)).toBeUndefined();
  expect(handOvers.pending).toBe(0);
  expect(() => {
    fstatSync(fd);
    closeSync(fd);
  }).toThrow("EBADF");
});
