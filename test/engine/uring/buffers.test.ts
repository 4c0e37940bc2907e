// The ring of receive buffers as the kernel reads it (io_uring_register(2), IORING_REGISTER_PBUF_RING): its tail is 16 bits
// wide and wraps many times here. Linux only, as its memory comes from mmap(2).

import { describe, expect, test } from "bun:test";

import * as fc from "fast-check";

import { Buffers } from "../../../src/engine/uring/buffers.ts";
import { BUF_TAIL_U16, BUF_WORDS } from "../../../src/ffi/io-uring.ts";
import { type Pointer, viewOf } from "../../../src/ffi/memory.ts";

/** Takes buffers from the ring's memory in the order in which they were put there. */
class RingReader {
  readonly #buffers: Buffers;
  readonly #words: Int32Array;
  readonly #tails: Uint16Array;
  #head = 0;

  constructor(buffers: Buffers) {
    this.#buffers = buffers;
    const memory = viewOf(buffers.ringAddress, buffers.count * BUF_WORDS * 4);
    this.#words = new Int32Array(memory);
    this.#tails = new Uint16Array(memory);
  }

  /** How many the kernel may take. */
  get shown(): number {
    return (this.#tails[BUF_TAIL_U16]! - this.#head) & 0xffff;
  }

  /** The buffer in the oldest place. @throws if the place is not what a kernel could write to. */
  take(): number {
    const at = (this.#head & (this.#buffers.count - 1)) * BUF_WORDS;
    const [lower = 0, upper = 0, length = 0, last = 0] = this.#words.subarray(at, at + BUF_WORDS);
    const number = last & 0xffff;
    const address = (upper >>> 0) * 2 ** 32 + (lower >>> 0);
    expect(number).toBeLessThan(this.#buffers.count);
    expect(address).toBe(this.#buffers.addressOf(number));
    expect(length).toBe(this.#buffers.bytes);
    this.#head = (this.#head + 1) & 0xffff;
    this.#buffers.take();
    return number;
  }
}

function withBuffers(count: number, bytes: number, use: (buffers: Buffers) => void): void {
  const buffers = new Buffers(count, bytes);
  try {
    use(buffers);
  } finally {
    buffers.close();
  }
}

type Step = { do: "take" | "recycle"; count: number } | { do: "publish" };
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constantFrom("take" as const, "recycle" as const),
    count: fc.integer({ min: 1, max: 64 }),
  }),
  fc.record({ do: fc.constant("publish" as const) }),
);

describe.if(process.platform === "linux")("the ring of buffers", () => {
  test("no buffer is in two hands, and none is lost, whoever holds how many", () => {
    const power = fc.integer({ min: 0, max: 7 }).map((exponent) => 2 ** exponent);
    const property = fc.property(power, fc.array(step, { maxLength: 60 }), (count, steps) => {
      withBuffers(count, 16, (buffers) => {
        const reader = new RingReader(buffers);
        const held = new Set<number>();
        const takeOne = (): void => {
          const buffer = reader.take();
          expect(held).not.toContain(buffer);
          held.add(buffer);
        };
        const recycleOne = (): void => {
          const [oldest] = held;
          held.delete(oldest!);
          buffers.recycle(oldest!);
        };
        for (const item of steps) {
          if (item.do === "publish") buffers.publish();
          else if (item.do === "take") {
            for (let i = 0; i < item.count && reader.shown > 0; i++) takeOne();
          } else for (let i = 0; i < item.count && held.size > 0; i++) recycleOne();
          expect(reader.shown).toBeLessThanOrEqual(buffers.free);
          expect(buffers.free + held.size).toBeLessThanOrEqual(count);
        }
        buffers.publish();
        expect(reader.shown).toBe(buffers.free);
        // As long as they run short they come, until every one was seen.
        for (let round = 0; round < 32; round++, buffers.publish()) {
          while (reader.shown > 0) takeOne();
        }
        expect(held.size).toBe(count);
        expect(buffers.free).toBe(0);
      });
    });
    fc.assert(property, { numRuns: 300 });
  });

  test("what was not published is not shown", () =>
    withBuffers(8, 64, (buffers) => {
      const reader = new RingReader(buffers);
      const taken: number[] = [];
      while (reader.shown > 0) taken.push(reader.take());
      for (const buffer of taken) buffers.recycle(buffer);
      expect(reader.shown).toBe(0);
      buffers.publish();
      expect(reader.shown).toBe(taken.length);
    }));

  test("200,000 buffers come and go in order while the tail wraps three times", () =>
    withBuffers(8, 32, (buffers) => {
      const reader = new RingReader(buffers);
      const first = Array.from({ length: reader.shown }, () => reader.take());
      for (const buffer of first) buffers.recycle(buffer);
      buffers.publish();
      for (let round = 0; round < 200_000; round++) {
        const buffer = reader.take();
        if (buffer !== first[round % first.length])
          expect(buffer).toBe(first[round % first.length]!);
        buffers.recycle(buffer);
        buffers.publish();
      }
      expect(reader.shown).toBe(first.length);
    }));

  test("the ring's tail, which lies in the first place's number, outlives every write of that place", () =>
    withBuffers(2, 16, (buffers) => {
      const reader = new RingReader(buffers);
      for (let round = 1; round <= 70_000; round++) {
        const buffer = reader.take();
        const before = reader.shown;
        buffers.recycle(buffer); // every second time into the first place
        if (reader.shown !== before) expect(reader.shown).toBe(before);
        buffers.publish();
      }
    }));

  test("a buffer's slice is its own memory", () =>
    withBuffers(4, 16, (buffers) => {
      for (let buffer = 0; buffer < 4; buffer++) buffers.slice(buffer, 0, 16).fill(buffer + 1);
      for (let buffer = 0; buffer < 4; buffer++) {
        const memory = new Uint8Array(viewOf(buffers.addressOf(buffer) as Pointer, 16));
        expect([...memory]).toEqual(Array<number>(16).fill(buffer + 1));
      }
      expect(Array.from(buffers.slice(2, 3, 5))).toEqual([3, 3]);
    }));
});
