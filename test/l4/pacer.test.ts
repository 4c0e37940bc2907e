// Who waits for bandwidth and in which order, over simulated time: what goes never exceeds the limits, nobody who waits is
// forgotten, and several share evenly, within a worker and between workers.

import { expect, test } from "bun:test";

import fc from "fast-check";

import { type Pace, type PaceLimits, Pacer } from "../../src/l4/pacer.ts";
import { bandwidthRate, bucketMemory } from "../../src/l4/token-buckets.ts";

const ROWS = 16;
const MIB = 1024 * 1024;

/** Workers with endless senders, on one clock. */
class World {
  now = 1_000;
  readonly shared = new SharedArrayBuffer(bucketMemory(1));
  readonly workers: Worker[];

  constructor(limits: PaceLimits, workers: number) {
    this.workers = Array.from({ length: workers }, () => new Worker(this, limits));
  }

  /** Each worker wakes when it asked to, or `lateMs` after. */
  run(ms: number, lateMs: () => number = () => 0): void {
    const wakes = this.workers.map(() => this.now);
    for (const end = this.now + ms; this.now < end;) {
      const next = Math.min(...wakes);
      this.now = Math.max(this.now, next);
      this.workers.forEach((worker, i) => {
        if (wakes[i]! > this.now) return;
        worker.pacer.turn();
        wakes[i] = this.now + Math.ceil(Math.min(worker.pacer.waitMs(), 1_000)) + lateMs();
      });
    }
  }
}

class Worker {
  readonly generation = new Int32Array(ROWS);
  readonly pacer: Pacer;
  readonly pace: Pace;
  /** By direction. */
  readonly sent: number[] = Array.from({ length: ROWS * 2 }, () => 0);
  readonly reads: { at: number; bytes: number }[] = [];
  readonly #world: World;
  /** What one read brings; less than is wanted for small messages. */
  readBytes = 64 * 1024;
  /** Directions that have nothing to send when they are asked. */
  readonly dry = new Set<number>();

  constructor(world: World, limits: PaceLimits) {
    this.#world = world;
    const { generation } = this;
    const resume = (direction: number): void => this.pump(direction);
    this.pacer = new Pacer({ resume, generation, clock: () => world.now });
    this.pace = this.pacer.add(limits, world.shared)!;
  }

  open(row: number): void {
    this.generation[row]!++;
    this.pace.begin(row);
  }

  pump(direction: number): void {
    if (this.dry.has(direction)) return;
    while (!this.pace.waits(direction)) {
      const granted = this.pace.grant(direction, 64 * 1024);
      const bytes = Math.min(granted, this.readBytes);
      if (granted === 0) return;
      this.sent[direction]! += bytes;
      this.reads.push({ at: this.#world.now, bytes });
      this.pace.giveBack(direction, granted - bytes);
    }
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);

test("a listener without limits has no pace, and costs no wake-up", () => {
  const pacer = new Pacer({
    resume: () => {},
    generation: new Int32Array(ROWS),
    clock: () => {
      throw new Error("asked");
    },
  });
  expect(pacer.add({ bytesPerSecond: 0, connectionBytesPerSecond: 0 }, null)).toBeNull();
  expect(pacer.waitMs()).toBe(Infinity);
  pacer.turn();
});

test("directions of two workers share a listener's rate evenly, and use all of it", () => {
  const world = new World({ bytesPerSecond: MIB, connectionBytesPerSecond: 0 }, 2);
  for (const worker of world.workers) {
    for (let row = 0; row < 4; row++) {
      worker.open(row);
      worker.pump(row * 2 + (row & 1));
    }
  }
  world.run(10_000);
  const sent = world.workers.flatMap((worker) => worker.sent).filter((bytes) => bytes > 0);
  const { burst } = bandwidthRate(MIB);
  expect(sum(sent)).toBeWithin(9.9 * MIB, 10.1 * MIB + burst);
  expect(sent).toHaveLength(8);
  expect(Math.min(...sent)).toBeGreaterThan(0.6 * Math.max(...sent));
});

test("both directions of a connection share its rate, and connections do not", () => {
  const world = new World({ bytesPerSecond: 0, connectionBytesPerSecond: MIB }, 1);
  const [worker] = world.workers as [Worker];
  for (let row = 0; row < 3; row++) {
    worker.open(row);
    worker.pump(row * 2);
    if (row > 0) worker.pump(row * 2 + 1);
  }
  world.run(10_000);
  for (let row = 0; row < 3; row++) {
    const [up, down] = worker.sent.slice(row * 2, row * 2 + 2) as [number, number];
    expect(up + down).toBeWithin(9.9 * MIB, 10.2 * MIB);
    if (row > 0) expect(Math.min(up, down)).toBeGreaterThan(0.8 * Math.max(up, down));
  }
});

test("small messages use the rate as exactly as large ones", () => {
  const world = new World({ bytesPerSecond: MIB, connectionBytesPerSecond: 0 }, 1);
  const [worker] = world.workers as [Worker];
  worker.readBytes = 64;
  worker.open(0);
  worker.pump(0);
  world.run(10_000);
  expect(worker.sent[0]!).toBeWithin(9.9 * MIB, 10.2 * MIB);
});

test("who has nothing to send when its turn comes leaves its part to others", () => {
  const world = new World({ bytesPerSecond: MIB, connectionBytesPerSecond: 0 }, 1);
  const [worker] = world.workers as [Worker];
  for (let row = 0; row < 3; row++) {
    worker.open(row);
    worker.pump(row * 2);
  }
  worker.dry.add(2).add(4);
  world.run(5_000);
  expect(worker.sent[0]!).toBeGreaterThan(4.9 * MIB);
});

test("a connection that ended while it waited is not resumed, nor is the next one in its row", () => {
  const world = new World({ bytesPerSecond: MIB, connectionBytesPerSecond: MIB / 2 }, 1);
  const [worker] = world.workers as [Worker];
  for (const row of [0, 1]) {
    worker.open(row);
    worker.pump(row * 2);
  }
  const before = worker.sent[0];
  worker.generation[0]!++; // it ends
  worker.open(0); // and another one begins, which sends nothing
  world.run(2_000);
  expect(worker.sent[0]).toBe(before!);
  expect(worker.sent[2]!).toBeGreaterThan(0.9 * MIB);
});

test("in no window goes more than the burst and the rate, however late workers wake", () => {
  const scenario = fc.record({
    bytesPerSecond: fc.integer({ min: 5_000, max: 100 * MIB }),
    workers: fc.integer({ min: 1, max: 3 }),
    readBytes: fc.integer({ min: 1, max: 100_000 }),
    late: fc.array(fc.integer({ min: 0, max: 150 }), { minLength: 1, maxLength: 20 }),
  });
  fc.assert(
    fc.property(scenario, ({ bytesPerSecond, workers, readBytes, late }) => {
      const world = new World({ bytesPerSecond, connectionBytesPerSecond: 0 }, workers);
      for (const worker of world.workers) {
        worker.readBytes = Math.max(readBytes, bytesPerSecond / 10_000);
        for (const row of [0, 1]) {
          worker.open(row);
          worker.pump(row * 2);
        }
      }
      let i = 0;
      world.run(400, () => late[i++ % late.length]!);
      const reads = world.workers.flatMap((worker) => worker.reads);
      reads.sort((a, b) => a.at - b.at);
      const { burst } = bandwidthRate(bytesPerSecond);
      // The most that goes in any window: as of a bucket that starts full.
      let left = burst;
      let at = reads[0]!.at;
      for (const read of reads) {
        left = Math.min(burst, left + ((read.at - at) * bytesPerSecond) / 1_000);
        at = read.at;
        left -= read.bytes;
        expect(left).toBeGreaterThan(-1);
      }
    }),
    { numRuns: 50 },
  );
});
