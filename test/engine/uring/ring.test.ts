// The arithmetic of the two queues against a kernel that is an array: indices begin just below 2^32, so that every run wraps.

import { describe, expect, test } from "bun:test";

import * as fc from "fast-check";

import { Ring, type RingKernel, type RingLayout } from "../../../src/engine/uring/ring.ts";
import { CQE_FLAGS, CQE_RES, CQE_WORDS, SQE_WORDS } from "../../../src/ffi/io-uring.ts";

interface Sizes {
  readonly sqEntries: number;
  readonly cqEntries: number;
  /** Where the indices begin. */
  readonly sqStart: number;
  readonly cqStart: number;
}

type Cqe = readonly [low: number, high: number, result: number, flags: number];

/** Takes entries from shared memory and puts completions there, as io_uring does; what does not fit waits (NODROP). */
class ArrayKernel implements RingKernel {
  readonly layout: RingLayout;
  readonly taken: number[][] = [];
  readonly overflow: Cqe[] = [];
  readonly entered: { toSubmit: number; wait: boolean; timeoutMs: number }[] = [];
  /** How many entries each `enter` takes at most; all when the list is over. */
  limits: number[] = [];
  #sqHead: number;
  #cqTail: number;

  constructor({ sqEntries, cqEntries, sqStart, cqStart }: Sizes) {
    const words = new Uint32Array(64);
    // Not in the order of the real one, and not beside each other.
    const at = { sqHead: 48, sqTail: 3, cqHead: 17, cqTail: 32 };
    words[at.sqHead] = sqStart;
    words[at.sqTail] = sqStart;
    words[at.cqHead] = cqStart;
    words[at.cqTail] = cqStart;
    const sqes = new Int32Array(sqEntries * SQE_WORDS).fill(-1);
    const cqes = new Int32Array(cqEntries * CQE_WORDS).fill(-1);
    this.layout = { words, sqes, cqes, sqEntries, cqEntries, ...at };
    this.#sqHead = sqStart;
    this.#cqTail = cqStart;
  }

  enter(toSubmit: number, wait: boolean, timeoutMs: number): number {
    this.entered.push({ toSubmit, wait, timeoutMs });
    const { words, sqes, sqTail, sqHead, sqEntries } = this.layout;
    const shown = (words[sqTail]! - this.#sqHead) >>> 0;
    if (toSubmit !== shown || shown > sqEntries) throw new Error(`${toSubmit} of ${shown} entries`);
    const take = Math.min(toSubmit, this.limits.shift() ?? toSubmit);
    for (let i = 0; i < take; i++) {
      const at = (this.#sqHead % sqEntries) * SQE_WORDS;
      this.taken.push([...sqes.subarray(at, at + SQE_WORDS)]);
      sqes.fill(-1, at, at + SQE_WORDS); // a place is the application's again: nothing of it is to be seen later
      this.#sqHead = (this.#sqHead + 1) % 2 ** 32;
    }
    words[sqHead] = this.#sqHead;
    this.#deliver();
    return take;
  }

  complete(cqe: Cqe): void {
    this.overflow.push(cqe);
    this.#deliver();
  }

  #deliver(): void {
    const { words, cqes, cqTail, cqHead, cqEntries } = this.layout;
    while (this.overflow.length > 0) {
      if ((this.#cqTail - words[cqHead]! + 2 ** 32) % 2 ** 32 >= cqEntries) break;
      const [low, high, result, flags] = this.overflow.shift()!;
      const at = (this.#cqTail % cqEntries) * CQE_WORDS;
      cqes[at] = low;
      cqes[at + 1] = high;
      cqes[at + CQE_RES] = result;
      cqes[at + CQE_FLAGS] = flags;
      this.#cqTail = (this.#cqTail + 1) % 2 ** 32;
    }
    words[cqTail] = this.#cqTail;
  }
}

const power = fc.integer({ min: 0, max: 6 }).map((exponent) => 2 ** exponent);
const nearWrap = fc.integer({ min: 0, max: 80 }).map((before) => 2 ** 32 - 1 - before);
const sizes: fc.Arbitrary<Sizes> = fc.record({
  sqEntries: power,
  cqEntries: power,
  sqStart: nearWrap,
  cqStart: nearWrap,
});

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const entry = fc.record({
  head: word,
  fd: word,
  address: fc.integer({ min: 0, max: 2 ** 47 }),
  length: word,
  opFlags: word,
  low: word,
  high: word,
  offset: word,
  group: word,
});
type Entry = typeof entry extends fc.Arbitrary<infer T> ? T : never;

/** struct io_uring_sqe of io_uring_enter(2), word for word. */
function wordsOf(e: Entry): number[] {
  const address = BigInt(e.address);
  const lower = Number(BigInt.asIntN(32, address));
  const upper = Number(address >> 32n);
  return [
    e.head,
    e.fd,
    e.offset,
    0,
    lower,
    upper,
    e.length,
    e.opFlags,
    e.low,
    e.high,
    e.group,
  ].concat(Array<number>(5).fill(0));
}

type Step =
  | { do: "push"; entries: Entry[] }
  | { do: "submit" | "wait" }
  | { do: "complete"; cqes: Cqe[] }
  | { do: "take"; count: number }
  /** The next calls of `enter` take no more than this. */
  | { do: "limit"; limits: number[] };

const cqe: fc.Arbitrary<Cqe> = fc.tuple(word, word, word, word);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("push" as const), entries: fc.array(entry, { maxLength: 100 }) }),
  fc.record({ do: fc.constantFrom("submit" as const, "wait" as const) }),
  fc.record({ do: fc.constant("complete" as const), cqes: fc.array(cqe, { maxLength: 100 }) }),
  fc.record({ do: fc.constant("take" as const), count: fc.nat(100) }),
  fc.record({ do: fc.constant("limit" as const), limits: fc.array(fc.nat(20), { maxLength: 4 }) }),
);

interface Run {
  readonly kernel: ArrayKernel;
  readonly ring: Ring;
  readonly pushed: number[][];
  readonly completed: Cqe[];
  readonly got: Cqe[];
}

function play(run: Run, item: Step): void {
  const { kernel, ring } = run;
  switch (item.do) {
    case "push":
      for (const e of item.entries) {
        ring.push(e.head, e.fd, e.address, e.length, e.opFlags, e.low, e.high, e.offset, e.group);
        run.pushed.push(wordsOf(e));
      }
      return;
    case "submit":
      return ring.submit();
    case "wait":
      return ring.submitAndWait(7);
    case "complete":
      for (const each of item.cqes) kernel.complete(each);
      run.completed.push(...item.cqes);
      return;
    case "take":
      for (let left = Math.min(ring.ready, item.count); left > 0; left--) takeOne(run);
      return;
    default:
      kernel.limits = item.limits;
  }
}

function takeOne({ ring, got }: Run): void {
  ring.next();
  got.push([ring.userLow, ring.userHigh, ring.result, ring.flags]);
}

function begin(at: Sizes): Run {
  const kernel = new ArrayKernel(at);
  return { kernel, ring: new Ring(kernel.layout, kernel), pushed: [], completed: [], got: [] };
}

const SMALL: Sizes = { sqEntries: 4, cqEntries: 4, sqStart: 2 ** 32 - 2, cqStart: 2 ** 32 - 2 };
const NOTHING: Entry = {
  head: 0,
  fd: 0,
  address: 0,
  length: 0,
  opFlags: 0,
  low: 0,
  high: 0,
  offset: 0,
  group: 0,
};

function pushNumbered(ring: Ring, low: number): void {
  ring.push(0, 0, 0, 0, 0, low, 0);
}

describe("the queues of a ring", () => {
  test("no entry and no completion is lost, doubled or reordered, whatever the sizes and however few are taken", () => {
    const property = fc.property(sizes, fc.array(step, { maxLength: 30 }), (at, steps) => {
      const run = begin(at);
      const { kernel, ring } = run;
      for (const item of steps) {
        play(run, item);
        const waiting = run.pushed.length - kernel.taken.length;
        expect(ring.unsubmitted).toBe(waiting);
        expect(waiting).toBeLessThanOrEqual(at.sqEntries);
        const due = run.completed.length - run.got.length;
        expect(ring.ready).toBe(due - kernel.overflow.length);
        expect(ring.ready).toBeLessThanOrEqual(at.cqEntries);
      }
      kernel.limits = [];
      while (run.got.length < run.completed.length || ring.unsubmitted > 0) {
        ring.submitAndWait(0);
        for (let left = ring.ready; left > 0; left--) takeOne(run);
      }
      expect(kernel.taken).toEqual(run.pushed);
      expect(run.got).toEqual(run.completed);
    });
    fc.assert(property, { numRuns: 500 });
  });

  test("a place that is used again shows nothing of the entry before", () => {
    const run = begin({ ...SMALL, sqEntries: 1 });
    for (const e of [{ ...NOTHING, address: 2 ** 46 + 5, offset: -1, group: -1 }, NOTHING]) {
      play(run, { do: "push", entries: [e] });
      run.ring.submit();
    }
    expect(run.kernel.taken).toEqual(run.pushed);
  });

  test("a full queue is handed over before the next entry, and not earlier", () => {
    const { kernel, ring } = begin(SMALL);
    for (let i = 0; i < 4; i++) pushNumbered(ring, i);
    expect(kernel.entered).toEqual([]);
    pushNumbered(ring, 4);
    expect(kernel.entered).toEqual([{ toSubmit: 4, wait: false, timeoutMs: 0 }]);
    expect(ring.unsubmitted).toBe(1);
  });

  test("what the kernel leaves of a full queue is handed over again, until it has all", () => {
    const { kernel, ring } = begin(SMALL);
    kernel.limits = [0, 0, 1, 0, 3];
    for (let i = 0; i < 6; i++) pushNumbered(ring, i);
    expect(kernel.entered.map(({ toSubmit }) => toSubmit)).toEqual([4, 4, 4, 3, 3]);
    ring.submit();
    expect(kernel.taken.map((words) => words[8])).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test("a kernel that never takes an entry again is an error, not a loop without end", () => {
    const { kernel, ring } = begin(SMALL);
    kernel.enter = () => 0;
    expect(() => {
      for (let i = 0; i < 5; i++) pushNumbered(ring, i);
    }).toThrow("io_uring");
  });

  test("it waits only when no completion is there", () => {
    const { kernel, ring } = begin(SMALL);
    ring.submitAndWait(-1);
    kernel.complete([1, 2, 3, 4]);
    ring.submitAndWait(-1);
    ring.next();
    ring.submitAndWait(20);
    expect(kernel.entered.map(({ wait, timeoutMs }) => [wait, timeoutMs])).toEqual([
      [true, -1],
      [false, -1],
      [true, 20],
    ]);
  });

  test("a completion's place is the kernel's again as soon as the next one is asked for", () => {
    const { kernel, ring } = begin(SMALL);
    for (let i = 0; i < 9; i++) kernel.complete([i, 0, 0, 0]);
    const got: number[] = [];
    while (ring.ready > 0) {
      ring.next();
      got.push(ring.userLow);
      ring.submit(); // inside a batch: the kernel writes where it may
      expect(ring.userLow).toBe(got.at(-1)!);
    }
    expect(got).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });
});
