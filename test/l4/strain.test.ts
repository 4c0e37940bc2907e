// A worker's own end of the board: what it tells, and which new work it turns away for what the process or it itself is short of.

import { describe, expect, test } from "bun:test";

import { Strain } from "../../src/l4/strain.ts";
import { LAG, SHEDDING } from "../../src/shared/limits.ts";
import { StrainBoard, threadOf } from "../../src/shared/strain.ts";

function worker(): { board: StrainBoard; strain: Strain } {
  const board = new StrainBoard(StrainBoard.create(2));
  return { board, strain: new Strain(board, 0) };
}

/** Of a hundred pieces of new work, how many are turned away. */
function shed(strain: Strain): number {
  return Array.from({ length: 100 }, () => strain.sheds()).filter(Boolean).length;
}

/** A loop whose every turn takes this long, for a while. */
function run(strain: Strain, turnMs: number, fromMs: number, forMs: number): number {
  let now = fromMs;
  for (const end = fromMs + forMs; now < end; now += turnMs) {
    strain.busy(now);
    if (now >= strain.dueMs) strain.beat(now, now);
  }
  return now;
}

describe("a worker turns away", () => {
  test("nothing, as long as nothing is short", () => {
    expect(shed(worker().strain)).toBe(0);
  });

  test("its share of what comes for the process, by what is shortest, evenly", () => {
    const { board, strain } = worker();
    board.setProcess(0.1, 0);
    expect(shed(strain)).toBeWithin(9, 11);
    expect(strain.reason).toBe("memory");
    board.setProcess(0.1, 0.5);
    expect(
      [strain.sheds(), strain.sheds(), strain.sheds(), strain.sheds()].filter(Boolean),
    ).toHaveLength(2);
    expect(strain.reason).toBe("descriptors");
    expect(strain.isFull).toBe(false);
    board.setProcess(1, 0);
    expect(shed(strain)).toBe(100);
    expect(strain.isFull).toBe(true);
  });

  test("clients whose requests are judged later only for want of descriptors", () => {
    const { board, strain } = worker();
    board.setProcess(1, 0);
    expect(strain.shedsClient()).toBe(false);
    board.setProcess(0, 1);
    expect(strain.shedsClient()).toBe(true);
  });

  test("what comes while it is late itself, and not for one pause, however long", () => {
    const { board, strain } = worker();
    board.lagCeilingMs = 500;
    let now = run(strain, 1, 0, 1_000);
    now = run(strain, 60_000, now, 60_000);
    now = run(strain, 1, now, 5_000);
    expect(shed(strain)).toBe(0);
    now = run(strain, 800, now, 5_000);
    expect(shed(strain)).toBeGreaterThan(10);
    expect(strain.reason).toBe("lag");
    expect(board.lagMs(threadOf(0), now)).toBeGreaterThan(500);
    expect(board.lagShare(threadOf(0))).toBeGreaterThan(SHEDDING.leastShare);
    now = run(strain, 1, now, 3_000);
    expect(shed(strain)).toBe(0);
    expect(board.lagShare(threadOf(0))).toBe(0);
  });

  test("nothing for being late where there is no ceiling", () => {
    const { strain } = worker();
    run(strain, 5_000, 0, 60_000);
    expect(shed(strain)).toBe(0);
  });
});

describe("a worker on an event loop", () => {
  test("looks at the clock ten times a second while it serves, and once when it does not", () => {
    const { board, strain } = worker();
    expect(strain.beatOfTimer(0, 0, false)).toBe(LAG.restMs);
    let now = LAG.restMs;
    expect(strain.beatOfTimer(now, now, true)).toBe(LAG.beatMs);
    now += LAG.beatMs - 1; // a timer may be early
    expect(strain.beatOfTimer(now, now, true)).toBe(1);
    now += 301;
    expect(strain.beatOfTimer(now, now, true)).toBe(LAG.beatMs);
    expect(board.lagMs(threadOf(0), now)).toBe(300);
    for (let i = 0; i < 20; i++) now += strain.beatOfTimer(now, now, false);
    expect(strain.beatOfTimer(now, now, false)).toBe(LAG.restMs);
    expect(board.lagMs(threadOf(0), now)).toBe(0);
  });
});

describe("a worker that rests", () => {
  test("is not late however long that takes, and has no beat", () => {
    const { board, strain } = worker();
    strain.busy(0);
    while (strain.dueMs < Infinity) strain.beat(strain.dueMs, strain.dueMs);
    expect(board.lagMs(threadOf(0), 1e9)).toBe(0);
    strain.busy(1e9);
    expect(strain.dueMs).toBe(1e9 + LAG.beatMs);
  });

  test("goes on beating while it turns work away: it has to find out that it is over", () => {
    const { board, strain } = worker();
    board.lagCeilingMs = 100;
    let now = run(strain, 300, 0, 5_000);
    expect(strain.sheds()).toBe(true);
    while (strain.dueMs < Infinity) {
      now = strain.dueMs;
      strain.beat(now, now);
    }
    expect(strain.sheds()).toBe(false);
  });
});
