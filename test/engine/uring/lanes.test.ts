// The queues of received buffers against lists of bytes: whatever is appended, sent in part or drained, bytes stay in order, no
// buffer is in two queues, and every one comes back once.

import { describe, expect, test } from "bun:test";

import * as fc from "fast-check";

import { Buffers } from "../../../src/engine/uring/buffers.ts";
import { Lanes } from "../../../src/engine/uring/lanes.ts";

const ROWS = 3;
const COUNT = 32;
const BYTES = 64;

type Step =
  | { do: "append"; d: number; bytes: number }
  /** A part of what waits, in thousandths. */
  | { do: "consume"; d: number; part: number }
  | { do: "drain"; d: number };

const d = fc.nat(ROWS * 2 - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: append() },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("consume" as const), d, part: fc.nat(1_000) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("drain" as const), d }) },
);

function append(): fc.Arbitrary<Step> {
  return fc.record({
    do: fc.constant("append" as const),
    d,
    bytes: fc.oneof(fc.integer({ min: 1, max: BYTES }), fc.constant(BYTES)),
  });
}

/** Buffers by hand: what the kernel has filled is out, what lanes recycle is back. */
class Pool {
  readonly buffers = new Buffers(COUNT, BYTES);
  readonly out = new Set<number>();
  readonly #in: number[] = Array.from({ length: COUNT }, (_, i) => i);

  constructor() {
    const recycle = this.buffers.recycle.bind(this.buffers);
    this.buffers.recycle = (buffer) => {
      if (!this.out.delete(buffer)) throw new Error(`buffer ${buffer} comes back twice`);
      this.#in.push(buffer);
      recycle(buffer);
    };
  }

  take(): number | undefined {
    const buffer = this.#in.shift();
    if (buffer === undefined) return undefined;
    this.buffers.take();
    this.out.add(buffer);
    return buffer;
  }
}

interface Model {
  /** Of each direction: bytes that wait, in order. */
  readonly waiting: number[][];
  next: number;
}

function play(lanes: Lanes, pool: Pool, model: Model, item: Step): void {
  const waiting = model.waiting[item.d]!;
  if (item.do === "append") {
    const buffer = pool.take();
    if (buffer === undefined) return;
    const bytes = Array.from({ length: item.bytes }, () => model.next++ & 0xff);
    pool.buffers.slice(buffer, 0, item.bytes).set(bytes);
    lanes.append(item.d, buffer, item.bytes, false);
    waiting.push(...bytes);
  } else if (item.do === "consume") {
    const bytes = Math.trunc((waiting.length * item.part) / 1_000);
    lanes.consume(item.d, bytes);
    waiting.splice(0, bytes);
  } else {
    const drained = new Uint8Array(lanes.waiting(item.d));
    lanes.drainTo(item.d, drained);
    expect([...drained]).toEqual(waiting.splice(0));
  }
}

/** The bytes of a direction's queue, as a send would take them. */
function read(lanes: Lanes, pool: Pool, direction: number): number[] {
  const bytes: number[] = [];
  let from = lanes.offset[direction]!;
  for (let b = lanes.first[direction]!; b >= 0; b = lanes.next[b]!) {
    bytes.push(...pool.buffers.slice(b, from, lanes.length[b]!));
    from = 0;
  }
  return bytes;
}

function countBuffers(lanes: Lanes, direction: number): number {
  let count = 0;
  for (let b = lanes.first[direction]!; b >= 0; b = lanes.next[b]!) count++;
  return count;
}

describe.if(process.platform === "linux")("lanes", () => {
  test("bytes keep their order and buffers their owner, whatever is appended, sent and drained", () => {
    const property = fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const pool = new Pool();
      try {
        const lanes = new Lanes(ROWS, pool.buffers);
        for (let row = 0; row < ROWS; row++) lanes.clear(row);
        const model: Model = { waiting: Array.from({ length: ROWS * 2 }, () => []), next: 0 };
        for (const item of steps) {
          play(lanes, pool, model, item);
          let held = 0;
          for (const [direction, waiting] of model.waiting.entries()) {
            expect(waiting).toHaveLength(lanes.waiting(direction));
            expect(read(lanes, pool, direction)).toEqual(waiting);
            const queued = lanes.queued[direction]!;
            expect(countBuffers(lanes, direction)).toBe(queued);
            if (queued === 0) {
              expect([lanes.first[direction], lanes.last[direction]]).toEqual([-1, -1]);
              expect(lanes.offset[direction]).toBe(0);
            }
            held += queued;
          }
          expect(held).toBe(pool.out.size);
        }
        for (const [direction, waiting] of model.waiting.entries()) {
          lanes.consume(direction, waiting.length);
        }
        expect(pool.out.size).toBe(0);
      } finally {
        pool.buffers.close();
      }
    });
    fc.assert(property, { numRuns: 300 });
  });

  test("only full buffers with more behind them are counted, and on sockets that do not tell, all full ones", () => {
    const pool = new Pool();
    const lanes = new Lanes(1, pool.buffers);
    lanes.clear(0);
    const counted = (bytes: number, more: boolean): number => {
      lanes.append(0, pool.take()!, bytes, more);
      return lanes.full[0]!;
    };
    // A message of a buffer's length, and again; then bulk; then its last bytes.
    expect([counted(BYTES, false), counted(BYTES, false)]).toEqual([0, 0]);
    expect([counted(BYTES, true), counted(BYTES, true), counted(BYTES, false)]).toEqual([1, 2, 2]);
    expect(counted(BYTES - 1, true)).toBe(0);
    lanes.once[0] = 1;
    expect(counted(BYTES, false)).toBe(1);
    lanes.consume(0, lanes.waiting(0));
    pool.buffers.close();
  });

  test("a row that is taken again shows nothing of the connection before", () => {
    const buffers = new Buffers(4, BYTES);
    const lanes = new Lanes(1, buffers);
    const columns = Object.entries(lanes).filter(([name]) => name !== "next" && name !== "length");
    for (const [, column] of columns)
      if (ArrayBuffer.isView(column)) (column as Uint8Array).fill(7);
    lanes.clear(0);
    const shown = Object.fromEntries(columns.map(([name, column]) => [name, [...column]]));
    expect(shown).toMatchObject({ mode: [0], inFlight: [0], after: [0], first: [-1, -1] });
    const { first: _first, last: _last, ...others } = shown;
    expect(new Set(Object.values(others).flat())).toEqual(new Set([0]));
    buffers.close();
  });
});
